"""Volumes as orchestrators mount them: of another owner or a group, for a user without an entry in passwd, full ones.

Most tests need root, to create directories of other owners and processes of other users.
"""

import asyncio
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
from claimd.settings import Settings
from claimd.up.run import up
from tests.up.running import clean_environment

# In no passwd and no group of this machine.
USER, GROUP, VOLUME_GROUP, OTHER_USER = 54321, 54322, 54323, 54324
DOCKERFILE = (Path(__file__).parents[2] / "Dockerfile").read_text()

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="directories and processes of other users need root")

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
    print("rejected:", error)
"""


@dataclass(frozen=True)
class Volume:
    """A mounted directory; `open` opens it in a process of USER."""

    path: Path

    def own(self, user: int, group: int, mode: int) -> None:
        """Set its owner and its mode."""
        os.chown(self.path, user, group)
        self.path.chmod(mode)

    def open(self, user: int = USER, group: int = GROUP) -> str:
        """Open it in a process; returns the place of the files and the secret, or the reason of the rejection."""
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
    """An empty directory of root that every user can reach."""
    # Other users cannot reach pytest's temporary folder.
    with tempfile.TemporaryDirectory(prefix="claimd-test-") as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "volume").mkdir()
        yield Volume(Path(folder) / "volume")


VOLUMES = {
    "fresh and ours": (USER, GROUP, 0o755),
    "Kubernetes fsGroup": (0, VOLUME_GROUP, 0o2775),
    "Kubernetes fsGroup, emptyDir": (0, VOLUME_GROUP, 0o2777),
    "world-writable": (0, 0, 0o1777),
    "OpenShift, from the image": (10001, VOLUME_GROUP, 0o770),
}


@needs_root
@pytest.mark.parametrize("kind", VOLUMES)
def test_a_writable_volume_is_used(volume: Volume, kind: str) -> None:
    """A directory of the same user becomes private, another one gets a private subdirectory; later starts find it."""
    volume.own(*VOLUMES[kind])
    where, secret = volume.open().split()
    assert where == ("." if kind == "fresh and ours" else "claimd")
    home = volume.path / where
    assert (home.stat().st_uid, home.stat().st_mode & 0o7777) == (USER, 0o700)
    assert (home / "secret").stat().st_mode & 0o777 == 0o600
    assert volume.open() == f"{where} {secret}"
    assert home_of(volume.path) == volume.path / where


@needs_root
def test_a_mount_that_opens_all_modes_to_the_group_is_undone(volume: Volume) -> None:
    """Kubernetes does that at each mount, except with fsGroupChangePolicy: OnRootMismatch."""
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
def test_the_owner_of_a_volume_that_cannot_be_written_is_named(volume: Volume, mode: int) -> None:
    """The message has owner, mode, this user, and advice."""
    volume.own(0, 0, mode)
    message = volume.open()
    assert message.startswith(f"rejected: data directory {volume.path} cannot be used: ")
    assert f"it is of user 0 and group 0 (mode {mode:04o})" in message
    assert f"must be writable for user {USER} of group {GROUP}" in message
    assert "chown" in message
    assert "fsGroup" in message


@needs_root
def test_the_directory_of_another_users_claimd_is_not_used(volume: Volume) -> None:
    """OpenShift uses another user id in another project: with a second secret, everyone could claim twice."""
    volume.own(*VOLUMES["Kubernetes fsGroup"])
    volume.open()
    message = volume.open(user=OTHER_USER)
    assert message.startswith("rejected: ")
    assert f"user {USER}" in message
    assert sorted(path.name for path in volume.path.iterdir()) == ["claimd"]


@needs_root
@pytest.mark.parametrize("planted", ["directory", "link", "file"])
def test_a_planted_subdirectory_is_not_used(volume: Volume, planted: str) -> None:
    """Another user of the volume may have created the subdirectory, and could read a secret in it."""
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
    assert volume.open().startswith("rejected: ")
    assert not (own / "secret").exists()


@pytest.mark.parametrize("planted", ["link", "file"])
def test_a_planted_subdirectory_is_not_used_without_root_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    """The same for tests without root: the volume's mode cannot be changed."""
    volume, elsewhere = tmp_path / "volume", tmp_path / "elsewhere"
    volume.mkdir()
    elsewhere.mkdir()
    really = data_dir._make_private
    monkeypatch.setattr(data_dir, "_make_private", lambda path: path != volume and really(path))
    if planted == "link":
        (volume / "claimd").symlink_to(elsewhere)
    else:
        (volume / "claimd").touch()
    with pytest.raises(StartError, match="is not a directory of user"):
        DataDir.open(volume)
    assert not list(elsewhere.iterdir())


@needs_root
def test_root_finds_the_files_of_another_user(volume: Volume) -> None:
    """`docker run --user 0` on the same volume must not begin a second, empty installation."""
    volume.own(*VOLUMES["Kubernetes fsGroup"])
    _, secret = volume.open().split()
    with DataDir.open(volume.path) as data:
        assert (data.path, data.secret()) == (volume.path / "claimd", secret)


@needs_root
def test_a_volume_with_other_files_is_not_used(volume: Volume) -> None:
    """A directory of another user that is not empty is left as it is."""
    volume.own(*VOLUMES["world-writable"])
    (volume.path / "letter.txt").write_text("dear")
    assert "holds files that are not claimd's" in volume.open()
    assert [entry.name for entry in volume.path.iterdir()] == ["letter.txt"]


@needs_root
def test_a_user_without_name_and_home_can_run_everything(volume: Volume) -> None:
    """`claimd up` as OpenShift runs it; the commands find address and token by the same directory."""
    volume.own(10001, 0, 0o770)
    volume.open(group=0)
    flags = ["--port", "0", "--console-port", "0"]
    environment = {
        **{name: value for name, value in clean_environment().items() if name not in ("HOME", "USER", "LOGNAME")},
        "CLAIMD_DATA_DIR": str(volume.path),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "claimd"]
    with subprocess.Popen(
        [*command, "up", *flags],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        user=USER,
        group=0,
        extra_groups=[],
        cwd="/",
    ) as process:
        try:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line)
                if line == "ready\n":
                    break
            assert lines[-1:] == ["ready\n"], lines
            assert (volume.path / "claimd" / "valkey.sock").stat().st_uid == USER
            for words in (["doctor"], ["round", "list"]):
                ran = subprocess.run(
                    [*command, *words],
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=False,
                    user=USER,
                    group=0,
                    extra_groups=[],
                    cwd="/",
                )
                assert ran.returncode == 0, ran.stderr
        finally:
            process.terminate()


def test_the_image_gives_a_fresh_volume_its_owner() -> None:
    """A named volume takes owner and mode of the image's directory before VOLUME: claimd's user, and group 0."""
    before, _, _ = DOCKERFILE.partition("\nVOLUME /var/lib/claimd/data\n")
    assert re.search(r"mkdir -p /var/lib/claimd/data", before)
    assert re.search(r"chown -R 10001:0 /var/lib/claimd\b", before)
    assert re.search(r"chmod 770 /var/lib/claimd/data$", before, re.MULTILINE)
    # Every user must be able to have it as the current directory.
    assert re.search(r"chmod 775 /var/lib/claimd\b", before)
    assert re.search(r"^\s*HOME=/var/lib/claimd\b", before, re.MULTILINE)
    assert re.search(r"^USER 10001$", before, re.MULTILINE)


@pytest.fixture
def disk() -> Iterator[Path]:
    """A file system of its own."""
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


def test_a_full_disk_is_named_wherever_the_start_meets_it(disk: Path) -> None:
    """With room for nothing, for the lock, the process file, a secret …: always a StartError with advice."""
    messages = set()
    settings = Settings.read(data_dir=disk, port=0, console_port=0)
    for pages in range(1, 9):
        for path in disk.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        assert _mount("-o", f"remount,size={pages * os.sysconf('SC_PAGE_SIZE')}", disk)
        (disk / "lost+found").write_bytes(b"x" * os.sysconf("SC_PAGE_SIZE"))
        with pytest.raises(StartError) as rejected:
            asyncio.run(up(settings, print))
        messages.add(str(rejected.value))
    # At least for the lock, the process file, a secret, and then Valkey itself.
    assert len(messages) >= 4, messages
    for message in messages:
        assert "No space left on device" in message
        assert "make room on its disk" in message


@needs_root
def test_a_read_only_file_system_is_named(disk: Path) -> None:
    """The error has the reason and advice."""
    assert _mount("-o", "remount,ro", disk)
    with pytest.raises(StartError, match="its file system is read-only: mount one"):
        DataDir.open(disk / "data")


def test_a_secret_that_is_not_text_is_named(tmp_path: Path) -> None:
    """It is an error, and the file is not replaced."""
    with DataDir.open(tmp_path / "data") as data:
        (data.path / "secret").write_bytes(b"\xff" * 64)
        with pytest.raises(StartError, match="secret is damaged"):
            data.secret()
        assert (data.path / "secret").read_bytes() == b"\xff" * 64
