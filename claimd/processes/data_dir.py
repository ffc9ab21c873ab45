"""The data directory: mode 700, locked by one supervisor at a time, home of the generated secrets.

It must never make a directory private, or write into one, that was not claimd's from the start: `--data-dir ~` is a
slip of the hand. The secret keys every identity digest: lost or changed, people could claim a second time.
"""

import fcntl
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from claimd.identity.secrets import MIN_SECRET_BYTES
from claimd.processes.errors import StartError

_LOCK = "lock"
# A fresh volume is not always empty.
_IGNORED = {"lost+found"}


class DataDir:
    """An open data directory; the lock is held until `close`, or until this process is gone in whatever way.

    `is_new`: it held nothing when it was opened.
    """

    def __init__(self, path: Path, lock_fd: int, *, is_new: bool = False) -> None:
        self.path = path
        self.is_new = is_new
        self._lock_fd = lock_fd

    @classmethod
    def open(cls, path: Path) -> Self:
        """Make it where it is missing, and lock it. Raises StartError, naming the process that holds it."""
        path = path.absolute()
        try:
            _make_private(path)
            is_new = {entry.name for entry in path.iterdir()} <= _IGNORED | {_LOCK}
            # Not inherited by children: the lock has to end with the supervisor.
            lock_fd = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartError(f"data directory {path} cannot be used: {error.strerror}") from None
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock_fd, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock_fd)
            raise StartError(
                f"another claimd (pid {holder}) runs on {path}: stop it, or choose another with --data-dir"
            ) from None
        os.ftruncate(lock_fd, 0)
        os.pwrite(lock_fd, f"{os.getpid()}\n".encode(), 0)
        return cls(path, lock_fd, is_new=is_new)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up the lock. The file stays: removing it would let two processes lock two files of one name."""
        os.close(self._lock_fd)

    def secret(self) -> str:
        """The generated secret, made at the first start. Raises StartError for a file that was damaged."""
        secret = self._kept("secret", lambda: secrets.token_hex(32))
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise StartError(f"{self.path / 'secret'} is damaged (under {MIN_SECRET_BYTES} bytes): put its backup back")
        return secret

    def kept_secret(self) -> str | None:
        """The generated secret if an earlier start has made one."""
        return _read(self.path / "secret")

    def admin_token(self) -> str:
        """The generated admin token, made at the first start."""
        return self._kept("admin-token", lambda: secrets.token_urlsafe(32))

    def generated_token_is(self, token: str) -> bool:
        """Whether that is the token in the file, so that the file may be named as its place."""
        return _read(self.admin_token_path) == token

    @property
    def admin_token_path(self) -> Path:
        """Where the generated admin token is."""
        return self.path / "admin-token"

    def _kept(self, name: str, make: Callable[[], str]) -> str:
        kept = _read(self.path / name)
        if kept is None:
            kept = make()
            write_atomically(self.path / name, kept + "\n")
        return kept


def read_admin_token(data_dir: Path) -> str | None:
    """The admin token that `claimd up` left in a data directory, None where there is none.

    Raises StartError where there is one that cannot be read.
    """
    path = data_dir / "admin-token"
    try:
        return _read(path)
    except NotADirectoryError:
        return None
    except OSError as error:
        raise StartError(f"{path.absolute()} cannot be read: {error.strerror}") from None


def read_secret(data_dir: Path) -> str | None:
    """The secret that `claimd up` left in a data directory; None where there is none that can be used."""
    with suppress(OSError):
        kept = _read(data_dir / "secret")
        return kept if kept and len(kept.encode()) >= MIN_SECRET_BYTES else None
    return None


def write_atomically(path: Path, text: str) -> None:
    """Write a file of mode 600 that is there whole or not at all, whatever dies meanwhile."""
    part = path.with_name(path.name + ".part")
    with suppress(FileNotFoundError):
        part.unlink()
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise StartError(f"{path} is damaged (not text): put its backup back") from None


def _make_private(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (path / _LOCK).exists() and {entry.name for entry in path.iterdir()} - _IGNORED:
        raise StartError(f"{path} holds files that are not claimd's: choose a directory of its own with --data-dir")
    if stat.S_IMODE(path.stat().st_mode) != 0o700:
        path.chmod(0o700)
