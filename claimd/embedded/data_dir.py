"""The data directory: mode 700, locked by one supervisor at a time, home of the generated secrets.

It must never make a directory private, or write into one, that was not claimd's from the start: `--data-dir ~` is a
slip of the hand. The secret keys every identity digest: lost or changed, people could claim a second time.

A volume's root often belongs to root, or to a group that this process is only a member of, and cannot be made private:
then claimd's files are in a directory of its own in it, `claimd`, which is.
"""

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from claimd.errors import StartError
from claimd.identity.keys import MIN_SECRET_BYTES

_LOCK = "lock"
# Archives of rounds, which a console writes that has nothing else there.
ARCHIVE = "archive"
# A fresh volume is not always empty.
_IGNORED = {"lost+found", ARCHIVE}
# Where claimd's files are in a directory that is not its own to make private.
_OWN = "claimd"


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
            # The address of the embedded server's socket carries the name.
            str(path).encode()
        except UnicodeEncodeError:
            raise StartError(f"data directory {path} cannot be used: its name is not text in this locale") from None
        with usable(path):
            path = _private(path)
            is_new = {entry.name for entry in path.iterdir()} <= _IGNORED | {_LOCK}
            # Not inherited by children: the lock has to end with the supervisor.
            lock_fd = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _take(lock_fd, path)
            except BaseException:
                os.close(lock_fd)
                raise
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
        return self.kept_secret() or self._kept("secret", lambda: secrets.token_hex(32))

    def kept_secret(self) -> str | None:
        """The generated secret if an earlier start has made one. Raises StartError for a file that was damaged."""
        kept = _read(self.path / "secret")
        if kept is not None and len(kept.encode()) < MIN_SECRET_BYTES:
            raise StartError(f"{self.path / 'secret'} is damaged (under {MIN_SECRET_BYTES} bytes): put its backup back")
        return kept

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
    path = home_of(data_dir) / "admin-token"
    try:
        return _read(path)
    except NotADirectoryError:
        return None
    except OSError as error:
        raise StartError(f"{path.absolute()} cannot be read: {error.strerror}") from None


def read_secret(data_dir: Path) -> str | None:
    """The secret that `claimd up` left in a data directory; None where there is none that can be used."""
    with suppress(OSError):
        kept = _read(home_of(data_dir) / "secret")
        return kept if kept and len(kept.encode()) >= MIN_SECRET_BYTES else None
    return None


def home_of(data_dir: Path) -> Path:
    """Where claimd's files are: in the data directory, or in the directory of its own that it has made there."""
    own = data_dir / _OWN
    return own if _is_there(own / _LOCK) and not _is_there(data_dir / _LOCK) else data_dir


@contextmanager
def usable(data_dir: Path) -> Iterator[None]:
    """Turn the system's errors into a StartError that says what to do about them."""
    try:
        yield
    except OSError as error:
        raise StartError(
            f"data directory {data_dir} cannot be used: {_why(error)}; {_advice(error, data_dir)}"
        ) from None


def write_atomically(path: Path, text: str) -> None:
    """Write a file of mode 600 that is there whole or not at all, whatever dies meanwhile."""
    part = path.with_name(path.name + ".part")
    try:
        with suppress(FileNotFoundError):
            part.unlink()
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        # A disk that is full is found by a write, which does not know the file's name.
        raise OSError(error.errno, error.strerror, str(path)) from error
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _take(lock_fd: int, path: Path) -> None:
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock_fd, 32, 0).decode(errors="replace").strip() or "unknown"
        raise StartError(
            f"another claimd (pid {holder}) runs on {path}: stop it, or choose another with --data-dir"
        ) from None
    os.ftruncate(lock_fd, 0)
    os.pwrite(lock_fd, f"{os.getpid()}\n".encode(), 0)


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise StartError(f"{path} is damaged (not text): put its backup back") from None


def _is_there(path: Path) -> bool:
    with suppress(OSError):
        return path.exists()
    return False


def _private(path: Path) -> Path:
    """Make it where it is missing, and private where it is ours; else a directory of our own in it. Returns either."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = path / _OWN
    is_claimds = _is_there(path / _LOCK) or _is_there(own / _LOCK)
    if not is_claimds and {entry.name for entry in path.iterdir()} - _IGNORED - {_OWN}:
        raise StartError(f"{path} holds files that are not claimd's: choose a directory of its own with --data-dir")
    if home_of(path) == path and _made_private(path):
        return path
    with suppress(FileExistsError):
        own.mkdir(mode=0o700)
    status = own.lstat()
    # Another user who may write into the volume may have put something in its place.
    if not stat.S_ISDIR(status.st_mode) or os.geteuid() not in (status.st_uid, 0):
        raise StartError(
            f"{own} is not a directory of user {os.geteuid()}, which runs claimd, but of user {status.st_uid}: "
            "run claimd as the user who has made it, or give it to this one (chown -R)"
        )
    if not _made_private(own):
        raise StartError(f"{own} cannot be made private: choose another file system with --data-dir")
    return own


def _made_private(path: Path) -> bool:
    """Whether it is a directory that only this user may enter, now that it was tried."""
    if stat.S_IMODE(path.stat().st_mode) != 0o700:
        # Of another user, or on a file system that keeps no modes.
        with suppress(PermissionError):
            path.chmod(0o700)
    return stat.S_IMODE(path.stat().st_mode) == 0o700


def _why(error: OSError) -> str:
    if isinstance(error, FileExistsError):
        return "it is a file"
    name = f"{Path(os.fsdecode(error.filename)).name}: " if isinstance(error.filename, str | bytes) else ""
    return f"{name}{error.strerror or error}"


def _advice(error: OSError, data_dir: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room on its disk, or choose another with --data-dir"
    if error.errno == errno.EROFS:
        return "its file system is read-only: mount one there that can be written, or choose another with --data-dir"
    if error.errno not in (errno.EACCES, errno.EPERM):
        return "choose another with --data-dir"
    owner = "it"
    with suppress(OSError):
        status = data_dir.stat()
        owner = (
            f"it is of user {status.st_uid} and group {status.st_gid} (mode {stat.S_IMODE(status.st_mode):04o}), and"
        )
    return (
        f"{owner} must be writable for user {os.geteuid()} of group {os.getegid()}, which runs claimd: chown it, "
        "set fsGroup in Kubernetes, or choose another with --data-dir"
    )
