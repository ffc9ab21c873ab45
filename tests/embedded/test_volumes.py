"""Volumes as orchestrators mount them: a root that is somebody else's, a group, a user who is in no passwd, no room.

They take root to set up: real directories of other owners, and processes of other users.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from claimd.embedded import data_dir
from claimd.embedded.data_dir import DataDir, home_of
from claimd.errors import StartError
from tests.up.running import Up, clean_environment

# In no passwd and no group of this machine.
USER, GROUP, VOLUME_GROUP, OTHER_USER = 54321, 54322, 54323, 54324
DOCKERFILE = (Path(__file__).parents[2] / "Dockerfile").read_text()

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="directories and processes of other users take root")

_OPEN = """
import sys
from pathlib import Path
from claimd.embedded.data_dir import DataDir, read_admin_token
from claimd.errors import StartError
path = Path(sys.argv[1])
try:
    with DataDir.open(path) as data:
        print(data.path.relative_to(path), data.secret())
        assert read_admin_token(path) in (None, data.admin_token()) and read_admin_token(path) == data.admin_token()
except StartError as error:
    print("refused:", error)
"""


@dataclass(frozen=True)
class Volume:
    """A mounted directory; `open` opens it in a process of USER."""

    path: Path

    def own(self, user: int, group: int, mode: int) -> None:
        """Give it an owner and a mode."""
        os.chown(self.path, user, group)
        self.path.chmod(mode)

    def open(self, user: int = USER, group: int = GROUP) -> str:
        """What the process says: where the files are and the secret, or why it was refused."""
        opened = subprocess.run(
            [sys.executable, "-c", _OPEN, str(self.path)],
            user=user,
            group=group,
            extra_groups=[VOLUME_GROUP],
            env={"PATH": "/usr/bin:/bin"},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        if "ModuleNotFoundError" in opened.stderr or "Permission denied: " in opened.stderr:
            pytest.skip("other users of this machine cannot read this checkout")
        assert opened.returncode == 0, opened.stderr
        return opened.stdout.strip()


@pytest.fixture
def volume() -> Iterator[Volume]:
    """An empty one, of root, that every user can reach."""
    # The folder of a test is root's alone.
    with tempfile.TemporaryDirectory(prefix="claimd-test-") as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "volume").mkdir()
        yield Volume(Path(folder) / "volume")


VOLUMES = {
    "fresh and ours": (USER, GROUP, 0o755),
    "Kubernetes fsGroup": (0, VOLUME_GROUP, 0o2775),
    "Kubernetes fsGroup, emptyDir": (0, VOLUME_GROUP, 0o2777),
    "everybody's": (0, 0, 0o1777),
    "OpenShift, from the image": (10001, VOLUME_GROUP, 0o770),
}


@needs_root
@pytest.mark.parametrize("kind", VOLUMES)
def test_a_volume_that_can_be_written_is_used(volume: Volume, kind: str) -> None:
    """Ours is made private; in another's a directory is, and the next start finds what is in it."""
    volume.own(*VOLUMES[kind])
    where, secret = volume.open().split()
    assert where == ("." if kind == "fresh and ours" else "claimd")
    home = volume.path / where
    assert (home.stat().st_uid, home.stat().st_mode & 0o7777) == (USER, 0o700)
    assert (home / "secret").stat().st_mode & 0o777 == 0o600
    assert volume.open() == f"{where} {secret}"
    assert home_of(volume.path) == volume.path / where


@needs_root
def test_the_next_mount_may_open_everything_to_the_group_again(volume: Volume) -> None:
    """Kubernetes does at each mount, unless it is told fsGroupChangePolicy: OnRootMismatch. The start undoes it."""
    volume.own(*VOLUMES["Kubernetes fsGroup"])
    before = volume.open()
    home = volume.path / "claimd"
    for path in (home, *home.iterdir()):
        os.chown(path, -1, VOLUME_GROUP)
        path.chmod(0o2770 if path.is_dir() else 0o660)
    assert volume.open() == before
    assert home.stat().st_mode & 0o7777 == 0o700


@needs_root
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_a_volume_that_cannot_be_written_says_whose_it_is(volume: Volume, mode: int) -> None:
    """One line with owner, mode, this user, and what to do."""
    volume.own(0, 0, mode)
    said = volume.open()
    assert said.startswith(f"refused: data directory {volume.path} cannot be used: ")
    assert f"it is of user 0 and group 0 (mode {mode:04o})" in said
    assert f"must be writable for user {USER} of group {GROUP}" in said
    assert "chown" in said
    assert "fsGroup" in said


@needs_root
def test_another_users_claimd_is_not_taken_over(volume: Volume) -> None:
    """OpenShift gives another number in another project: a second secret beside the first would give two packs."""
    volume.own(*VOLUMES["Kubernetes fsGroup"])
    volume.open()
    said = volume.open(user=OTHER_USER)
    assert said.startswith("refused: ")
    assert f"user {USER}" in said
    assert sorted(path.name for path in volume.path.iterdir()) == ["claimd"]


@needs_root
@pytest.mark.parametrize("planted", ["directory", "link", "file"])
def test_what_somebody_planted_is_not_used(volume: Volume, planted: str) -> None:
    """Whoever shares the volume may have made the directory before: the secret would be his to read."""
    volume.own(*VOLUMES["Kubernetes fsGroup"])
    own, elsewhere = volume.path / "claimd", volume.path.parent / "elsewhere"
    if planted == "directory":
        own.mkdir()
        own.chmod(0o777)
    elif planted == "link":
        elsewhere.mkdir()
        os.chown(elsewhere, USER, GROUP)
        own.symlink_to(elsewhere)
    else:
        own.touch()
    assert volume.open().startswith("refused: ")
    assert not (own / "secret").exists()


@pytest.mark.parametrize("planted", ["link", "file"])
def test_what_somebody_planted_is_not_used_by_anybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    """The same without other users, for whoever runs the tests: the volume itself cannot be made private."""
    volume, elsewhere = tmp_path / "volume", tmp_path / "elsewhere"
    volume.mkdir()
    elsewhere.mkdir()
    really = data_dir._made_private
    monkeypatch.setattr(data_dir, "_made_private", lambda path: path != volume and really(path))
    if planted == "link":
        (volume / "claimd").symlink_to(elsewhere)
    else:
        (volume / "claimd").touch()
    with pytest.raises(StartError, match="is not a directory of user"):
        DataDir.open(volume)
    assert not list(elsewhere.iterdir())


@needs_root
def test_root_finds_what_another_user_has_made(volume: Volume) -> None:
    """`docker run --user 0` on the same volume: no second, empty installation beside the first."""
    volume.own(*VOLUMES["Kubernetes fsGroup"])
    _, secret = volume.open().split()
    with DataDir.open(volume.path) as data:
        assert (data.path, data.secret()) == (volume.path / "claimd", secret)


@needs_root
def test_somebody_elses_files_are_left_alone_there_too(volume: Volume) -> None:
    """A directory that is not ours and not empty is not claimd's place."""
    volume.own(*VOLUMES["everybody's"])
    (volume.path / "letter.txt").write_text("dear")
    assert "holds files that are not claimd's" in volume.open()
    assert [entry.name for entry in volume.path.iterdir()] == ["letter.txt"]


@needs_root
def test_everything_runs_there_for_a_user_without_a_name_and_a_home(volume: Volume) -> None:
    """`claimd up` as OpenShift runs it; the command line finds the address and the token by the same directory."""
    volume.own(10001, 0, 0o770)
    volume.open(group=0)
    as_user = {"user": USER, "group": 0, "extra_groups": [], "cwd": "/"}
    flags = ["--port", "0", "--console-port", "0"]
    environment = {
        **{name: value for name, value in clean_environment().items() if name not in ("HOME", "USER", "LOGNAME")},
        "CLAIMD_DATA_DIR": str(volume.path),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "claimd"]
    with subprocess.Popen(
        [*command, "up", *flags], env=environment, stdout=subprocess.PIPE, text=True, **as_user
    ) as process:  # type: ignore[call-overload]
        try:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if line == "ready\n":
                    break
            assert said[-1:] == ["ready\n"], said
            assert (volume.path / "claimd" / "valkey.sock").stat().st_uid == USER
            for words in (["doctor"], ["round", "list"]):
                ran = subprocess.run(
                    [*command, *words], env=environment, capture_output=True, text=True, check=False, **as_user
                )
                assert ran.returncode == 0, ran.stderr
        finally:
            process.terminate()


def test_the_image_gives_a_fresh_volume_its_owner() -> None:
    """A named volume takes owner and mode of what the image has there before VOLUME: our user, and group 0."""
    before, _, _ = DOCKERFILE.partition("\nVOLUME /var/lib/claimd/data\n")
    assert re.search(r"mkdir -p /var/lib/claimd/data", before)
    assert re.search(r"chown -R 10001:0 /var/lib/claimd\b", before)
    assert re.search(r"chmod 770 /var/lib/claimd/data$", before, re.MULTILINE)
    # Whoever the container runs as must be able to stand in it.
    assert re.search(r"chmod 775 /var/lib/claimd\b", before)
    assert re.search(r"^\s*HOME=/var/lib/claimd\b", before, re.MULTILINE)
    assert re.search(r"^USER 10001$", before, re.MULTILINE)


@pytest.fixture
def disk() -> Iterator[Path]:
    """A file system of its own, mounted in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="claimd-test-") as folder:
        mounted = Path(folder) / "disk"
        mounted.mkdir()
        if os.geteuid() != 0 or shutil.which("mount") is None or not _mount("-t", "tmpfs", "tmpfs", mounted):
            pytest.skip("nothing can be mounted here")
        try:
            yield mounted
        finally:
            subprocess.run(["umount", "--lazy", mounted], check=True)


def _mount(*words: str | Path) -> bool:
    return subprocess.run(["mount", *words], capture_output=True, check=False).returncode == 0


def test_a_disk_that_is_full_is_said_in_a_line_wherever_the_start_meets_it(disk: Path) -> None:
    """With room for nothing, for the lock, for the record, for a secret …: never a traceback, and always advice."""
    met = set()
    for pages in range(1, 9):
        for path in disk.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        assert _mount("-o", f"remount,size={pages * os.sysconf('SC_PAGE_SIZE')}", disk)
        (disk / "lost+found").write_bytes(b"x" * os.sysconf("SC_PAGE_SIZE"))
        with Up(disk) as up:
            assert up.process.wait(30) == 1, up.output
        assert "Traceback" not in up.output
        last = up.output.splitlines()[-1]
        assert last.startswith("claimd: "), up.output
        met.add(last.removeprefix("claimd: "))
    # The lock, the record and a secret at least, and then Valkey itself.
    assert len(met) >= 4, met
    for sentence in met:
        assert "No space left on device" in sentence
        assert "make room on its disk" in sentence


@needs_root
def test_a_directory_that_cannot_be_written_is_said_in_a_line(disk: Path) -> None:
    """A file system that is mounted to be read."""
    assert _mount("-o", "remount,ro", disk)
    with pytest.raises(StartError, match="its file system is read-only: mount one"):
        DataDir.open(disk / "data")


def test_a_secret_that_is_no_text_is_said_in_a_line(tmp_path: Path) -> None:
    """No traceback, and no new secret in its place."""
    with DataDir.open(tmp_path / "data") as data:
        (data.path / "secret").write_bytes(b"\xff" * 64)
        with pytest.raises(StartError, match="secret is damaged"):
            data.secret()
        assert (data.path / "secret").read_bytes() == b"\xff" * 64
