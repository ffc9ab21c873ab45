"""The data directory keeps what it is given, for one owner at a time."""

import os
from pathlib import Path

import pytest

from claimd.embedded.data_dir import DataDir
from claimd.errors import StartError
from claimd.settings import Settings
from claimd.supervisor.child_environment import child_environment


def test_secrets_are_private_and_stay_the_same(tmp_path: Path) -> None:
    """Mode 600 in a directory of mode 700, whatever the umask, and never made anew."""
    before = os.umask(0)
    try:
        with DataDir.open(tmp_path / "a" / "data") as data:
            made = data.secret(), data.admin_token()
    finally:
        os.umask(before)
    assert (tmp_path / "a" / "data").stat().st_mode & 0o777 == 0o700
    for name in ("secret", "admin-token", "lock"):
        assert (tmp_path / "a" / "data" / name).stat().st_mode & 0o777 == 0o600
    with DataDir.open(tmp_path / "a" / "data") as data:
        assert (data.secret(), data.admin_token()) == made


def test_two_data_directories_have_nothing_in_common(tmp_path: Path) -> None:
    """Each has secrets of its own."""
    with DataDir.open(tmp_path / "a") as one, DataDir.open(tmp_path / "b") as other:
        assert one.secret() != other.secret()
        assert one.admin_token() != other.admin_token()


def test_the_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    """A second one is refused until the first is closed."""
    with DataDir.open(tmp_path / "data"), pytest.raises(StartError, match=rf"another claimd \(pid {os.getpid()}\)"):
        DataDir.open(tmp_path / "data")
    DataDir.open(tmp_path / "data").close()


def test_a_directory_of_somebody_elses_files_is_left_alone(tmp_path: Path) -> None:
    """`--data-dir ~` must not lock a person out of his home."""
    tmp_path.chmod(0o755)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(StartError, match="holds files that are not claimd's"):
        DataDir.open(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert [entry.name for entry in tmp_path.iterdir()] == ["letter.txt"]


def test_a_fresh_volume_becomes_private(tmp_path: Path) -> None:
    """An empty directory that was made for it, as a container mounts it."""
    (tmp_path / "volume" / "lost+found").mkdir(parents=True)
    (tmp_path / "volume").chmod(0o755)
    DataDir.open(tmp_path / "volume").close()
    assert (tmp_path / "volume").stat().st_mode & 0o777 == 0o700


def test_a_damaged_secret_is_never_replaced(tmp_path: Path) -> None:
    """A new one would make everybody a stranger who may claim again."""
    with DataDir.open(tmp_path / "data") as data:
        (tmp_path / "data" / "secret").write_text("")
        with pytest.raises(StartError, match="is damaged"):
            data.secret()


def test_children_get_exactly_these_settings() -> None:
    """What is not set is not inherited either, and secrets arrive in the clear."""
    settings = Settings(workers=3, secret="s" * 32, redis_url=None)  # type: ignore[arg-type]
    inherited = {"PATH": "/bin", "CLAIMD_REDIS_URL": "redis://old", "claimd_port": "1"}
    environment = child_environment(settings, inherited, without="admin_token")
    assert environment["PATH"] == "/bin"
    assert environment["CLAIMD_WORKERS"] == "3"
    assert environment["CLAIMD_SECRET"] == "s" * 32
    assert environment["CLAIMD_PORT"] == "8080"
    assert "CLAIMD_REDIS_URL" not in environment
    assert "claimd_port" not in environment
