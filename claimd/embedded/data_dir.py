"""The data directory: mode 700, locked by one supervisor at a time, home of the generated secrets.

It must never write into a directory, or change its mode, that has other files than claimd's: `--data-dir ~` is a typing
error. The secret keys every identity digest: if it is lost or changed, everyone could claim a second time.

The root of a volume often belongs to root, or to a group of this user, so that its mode cannot be changed: then
claimd's files are in a private subdirectory of it, `claimd`.
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
# Archives of rounds. A console that runs alone writes them and has no other files there.
ARCHIVE = "archive"
# Entries that a directory may have and still count as empty: a new volume has the first.
_IGNORED = {"lost+found", ARCHIVE}
# The private subdirectory, in a directory whose mode cannot be changed.
_SUBDIRECTORY = "claimd"


class DataDir:
    """An open data directory. Its lock is held until `close`, or until this process ends in whatever way.

    `path` is where the files are, which may be the subdirectory. `is_new`: it was empty when it was opened.
    """

    def __init__(self, path: Path, lock_fd: int, *, is_new: bool = False) -> None:
        self.path = path
        self.is_new = is_new
        self._lock_fd = lock_fd

    @classmethod
    def open(cls, path: Path) -> Self:
        """Create the directory if it is missing, and lock it. Raises StartError, naming the process that holds it."""
        path = path.absolute()
        try:
            # The path becomes a part of the embedded server's address.
            str(path).encode()
        except UnicodeEncodeError:
            raise StartError(f"data directory {path} cannot be used: its name is not text in this locale") from None
        with usable(path):
            path = _private(path)
            is_new = {entry.name for entry in path.iterdir()} <= _IGNORED | {_LOCK}
            # Children must not inherit the lock: it has to end with the supervisor.
            lock_fd = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _lock(lock_fd, path)
            except BaseException:
                os.close(lock_fd)
                raise
        return cls(path, lock_fd, is_new=is_new)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the lock. The file stays: without it two processes could lock two files of the same name."""
        os.close(self._lock_fd)

    def secret(self) -> str:
        """The generated secret; the first call generates it. Raises StartError for a file that was damaged."""
        return self.kept_secret() or self._read_or_generate("secret", lambda: secrets.token_hex(32))

    def kept_secret(self) -> str | None:
        """The generated secret, None where there is none yet. Raises StartError for a file that was damaged."""
        kept = _read(self.path / "secret")
        if kept is not None and len(kept.encode()) < MIN_SECRET_BYTES:
            raise StartError(f"{self.path / 'secret'} is damaged (under {MIN_SECRET_BYTES} bytes): put its backup back")
        return kept

    def admin_token(self) -> str:
        """The generated admin token; the first call generates it."""
        return self._read_or_generate("admin-token", lambda: secrets.token_urlsafe(32))

    def generated_token_is(self, token: str) -> bool:
        """Whether the token file contains this token, so that an operator can be sent to that file."""
        return _read(self.admin_token_path) == token

    @property
    def admin_token_path(self) -> Path:
        """The file of the generated admin token."""
        return self.path / "admin-token"

    def _read_or_generate(self, name: str, generate: Callable[[], str]) -> str:
        kept = _read(self.path / name)
        if kept is None:
            kept = generate()
            write_atomically(self.path / name, kept + "\n")
        return kept


def read_admin_token(data_dir: Path) -> str | None:
    """The admin token that `claimd up` has generated in a data directory, None where there is none.

    Raises StartError for a file that cannot be read.
    """
    path = home_of(data_dir) / "admin-token"
    try:
        return _read(path)
    except NotADirectoryError:
        return None
    except OSError as error:
        raise StartError(f"{path.absolute()} cannot be read: {error.strerror}") from None


def read_secret(data_dir: Path) -> str | None:
    """The secret that `claimd up` has generated in a data directory; None where there is none that can be used."""
    with suppress(OSError):
        kept = _read(home_of(data_dir) / "secret")
        return kept if kept and len(kept.encode()) >= MIN_SECRET_BYTES else None
    return None


def home_of(data_dir: Path) -> Path:
    """Where claimd's files are: the data directory, or the private subdirectory that an earlier start has made."""
    own = data_dir / _SUBDIRECTORY
    return own if _exists(own / _LOCK) and not _exists(data_dir / _LOCK) else data_dir


@contextmanager
def usable(data_dir: Path) -> Iterator[None]:
    """Turn an OSError into a StartError that names the data directory, the reason and what to do about it."""
    try:
        yield
    except OSError as error:
        raise StartError(
            f"data directory {data_dir} cannot be used: {_reason(error)}; {_advice(error, data_dir)}"
        ) from None


def write_atomically(path: Path, text: str) -> None:
    """Write a file of mode 600 which after a crash exists whole or not at all. Raises OSError that names the file."""
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
        # The error of a write to a full disk lacks the file's name.
        raise OSError(error.errno, error.strerror, str(path)) from error
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _lock(lock_fd: int, path: Path) -> None:
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


def _exists(path: Path) -> bool:
    with suppress(OSError):
        return path.exists()
    return False


def _private(path: Path) -> Path:
    """Create the directory if it is missing, and make it or else its subdirectory private. Returns the private one."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = path / _SUBDIRECTORY
    is_claimds = _exists(path / _LOCK) or _exists(own / _LOCK)
    if not is_claimds and {entry.name for entry in path.iterdir()} - _IGNORED - {_SUBDIRECTORY}:
        raise StartError(f"{path} holds files that are not claimd's: choose a directory of its own with --data-dir")
    if home_of(path) == path and _make_private(path):
        return path
    with suppress(FileExistsError):
        own.mkdir(mode=0o700)
    status = own.lstat()
    # Another user of the volume may have planted a link or a directory under this name.
    if not stat.S_ISDIR(status.st_mode) or os.geteuid() not in (status.st_uid, 0):
        raise StartError(
            f"{own} is not a directory of user {os.geteuid()}, which runs claimd, but of user {status.st_uid}: "
            "run claimd as the user who has made it, or give it to this one (chown -R)"
        )
    if not _make_private(own):
        raise StartError(f"{own} cannot be made private: choose another file system with --data-dir")
    return own


def _make_private(path: Path) -> bool:
    """Try to set mode 700. Returns whether the directory has that mode now."""
    if stat.S_IMODE(path.stat().st_mode) != 0o700:
        # It may belong to another user, or be on a file system without modes.
        with suppress(PermissionError):
            path.chmod(0o700)
    return stat.S_IMODE(path.stat().st_mode) == 0o700


def _reason(error: OSError) -> str:
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
