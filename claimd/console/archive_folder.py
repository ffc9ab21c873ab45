"""The folder of archive files: mode 700, files mode 600, each complete or absent, one written at a time."""

import asyncio
import fcntl
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from claimd.audit.archive_file import SUFFIX, audit_archive, write_archive
from claimd.audit.audit import Audit
from claimd.domain.rounds import Round
from claimd.store.ports import LogReader

_PART = ".part"


class FolderBusy(Exception):
    """Another archive is being written there, by this console or by another."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """An archive that is on disk under a temporary name."""

    part: Path
    round_id: str
    sha256: str
    audit: Audit

    def place(self) -> Path:
        """Give the file its final name and return its path. The digest in it keeps other files safe."""
        path = self._path
        self.part.replace(path)
        _sync(path.parent)
        return path

    def withdraw(self) -> None:
        """Remove the file: the round stays on the server."""
        _remove(self._path)

    @property
    def _path(self) -> Path:
        return self.part.with_name(f"{self.round_id}.{self.sha256[:16]}{SUFFIX}")


class ArchiveFolder:
    """A folder, which is created when it is needed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @asynccontextmanager
    async def file(self, records: LogReader, item: Round, now_ms: int) -> AsyncIterator[WrittenFile]:
        """The archive of a round, written, synced and audited. Unless it was placed, it is removed at the end.

        Raises OSError, ArchiveError, StoreUnavailable, FolderBusy.
        """
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(self._path):
            # Left by consoles that were killed.
            for left in self._path.glob(f"*{_PART}"):
                _remove(left)
            fd, name = tempfile.mkstemp(suffix=_PART, prefix=f"{item.id}.", dir=self._path)
            part = Path(name)
            try:
                with os.fdopen(fd, "wb") as file:
                    await write_archive(records, item, now_ms, file)
                    file.flush()
                    await asyncio.to_thread(os.fsync, file.fileno())
                # Read back from the file, in a thread: the audit is about what is on disk.
                audited = await asyncio.to_thread(audit_archive, part)
                yield WrittenFile(part, item.id, audited.sha256, audited.audit)
            finally:
                _remove(part)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderBusy from None
        yield
    finally:
        os.close(fd)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
