"""The data directory: private, locked by one process at a time, with secrets that stay the same."""

import os
from pathlib import Path

import pytest

from claimd.embedded.data_dir import DataDir
from claimd.errors import StartError


def test_secrets_are_private_and_stay_the_same(tmp_path: Path) -> None:
    """They have mode 600 in a directory of mode 700, whatever the umask, and are generated once."""
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


def test_two_data_directories_have_different_secrets(tmp_path: Path) -> None:
    """Each directory generates its own."""
    with DataDir.open(tmp_path / "a") as one, DataDir.open(tmp_path / "b") as other:
        assert one.secret() != other.secret()
        assert one.admin_token() != other.admin_token()


def test_the_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    """A second process gets a StartError until the first one closes the directory."""
    with DataDir.open(tmp_path / "data"), pytest.raises(StartError, match=rf"another claimd \(pid {os.getpid()}\)"):
        DataDir.open(tmp_path / "data")
    DataDir.open(tmp_path / "data").close()


def test_a_directory_with_other_files_is_not_used(tmp_path: Path) -> None:
    """`--data-dir ~` must not change the mode of a home directory."""
    tmp_path.chmod(0o755)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(StartError, match="holds files that are not claimd's"):
        DataDir.open(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert [entry.name for entry in tmp_path.iterdir()] == ["letter.txt"]


def test_a_new_volume_becomes_private(tmp_path: Path) -> None:
    """A container mounts a directory that is empty except for lost+found."""
    (tmp_path / "volume" / "lost+found").mkdir(parents=True)
    (tmp_path / "volume").chmod(0o755)
    DataDir.open(tmp_path / "volume").close()
    assert (tmp_path / "volume").stat().st_mode & 0o777 == 0o700


def test_a_damaged_secret_is_never_replaced(tmp_path: Path) -> None:
    """Under a new one everyone could claim again."""
    with DataDir.open(tmp_path / "data") as data:
        (tmp_path / "data" / "secret").write_text("")
        with pytest.raises(StartError, match="is damaged"):
            data.secret()
