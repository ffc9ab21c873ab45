"""The synced size: how many bytes of the append-only file are certainly on disk, recorded once a second.

The append-only file alone does not show a loss: one that was cut in half looks like one whose last write was torn by a
power failure, and Valkey starts with the rest of either. The record, a file beside it, is a lower bound: its bytes were
synced, and claims were acknowledged on them. A file with fewer bytes has lost acknowledged claims, whatever cut it; one
with more may end in a torn write, which was never acknowledged.
"""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from claimd.embedded.data_dir import write_atomically
from claimd.errors import StartError

_RECORD = "valkey.written"
_DIRECTORY = "appendonlydir"
_MANIFEST = "appendonly.aof.manifest"
_FILE = "appendonly.aof.{}.incr.aof"
_NAME = re.compile(r"appendonly\.aof\.(\d+)\.incr\.aof", re.ASCII)
_LISTED = re.compile(r"^file \S+ seq (\d+) type i\b", re.ASCII | re.MULTILINE)
_RECORDED = re.compile(r"(\d{20}) (\d{20})\n", re.ASCII)
_INTERVAL_SECONDS = 1.0


class SyncedSize(NamedTuple):
    """The number of the newest append-only file (each rewrite begins another) and how many bytes of it are synced."""

    number: int
    size_bytes: int


class SyncedSizeRecord:
    """The record in one data directory. `print_line` gets warnings for an operator."""

    def __init__(self, data_dir: Path, print_line: Callable[[str], None]) -> None:
        self._path = data_dir / _RECORD
        self._folder = data_dir / _DIRECTORY
        self._print_line = print_line
        self._recorded: SyncedSize | None = None
        self._has_warned = False

    def check(self, *, accept_lost_claims: bool) -> None:
        """Raise StartError where the append-only file has fewer bytes than were synced; changes nothing.

        With `accept_lost_claims` that is a warning. Without a record, as in a directory of an earlier version, there is
        nothing to compare.
        """
        recorded, found = self._read(), self._listed()
        if recorded is None or found >= recorded:
            return
        file = self._folder / _FILE.format(recorded.number)
        size_bytes = found.size_bytes if found.number == recorded.number else 0
        lost = (
            f"{file} has {size_bytes:,} bytes, but {recorded.size_bytes:,} "
            "were on disk when claimd ran: claims that were acknowledged are lost"
        )
        if not accept_lost_claims:
            raise StartError(
                f"{lost}; nothing was changed. Put the file back from a copy, or give those claims up with "
                "`claimd up --accept-lost-claims`: their packs can be granted again"
            )
        self._print_line(f"  WARNING   {lost}, and given up (--accept-lost-claims)")

    async def keep_updating(self, ping: Callable[[], Awaitable[Any]]) -> None:
        """Update the record once a second. Never returns."""
        while True:
            await self.update(ping)
            await asyncio.sleep(_INTERVAL_SECONDS)

    async def update(self, ping: Callable[[], Awaitable[Any]]) -> None:
        """Record what is synced now; changes nothing if the server does not reply to `ping`.

        With `appendfsync always` the server replies to nothing before it has synced what it has written. The size that
        the file had before the PING is therefore on disk once the reply is here.
        """
        with suppress(RedisError, OSError, TimeoutError):
            written = self._newest()
            await ping()
            if written is not None and written != self._recorded:
                await asyncio.to_thread(self._write, written)

    def _write(self, size: SyncedSize) -> None:
        text = f"{size.number:020} {size.size_bytes:020}\n"
        try:
            if self._path.exists():
                # In place, within one sector of the disk: this takes no free space and leaves the directory as it is.
                with self._path.open("r+") as file:
                    file.write(text)
                    file.flush()
                    os.fdatasync(file.fileno())
            else:
                write_atomically(self._path, text)
            self._recorded = size
        except OSError as error:
            if not self._has_warned:
                self._print_line(f"{self._path} cannot be written ({error.strerror}): a cut file may go unnoticed")
            self._has_warned = True

    def _read(self) -> SyncedSize | None:
        try:
            text = self._path.read_text(errors="replace")
        except FileNotFoundError:
            return None
        fields = _RECORDED.fullmatch(text)
        if fields is None:
            self._print_line(f"  WARNING   {self._path} is damaged: a cut append-only file cannot be recognised")
            return None
        return SyncedSize(int(fields[1]), int(fields[2]))

    def _listed(self) -> SyncedSize:
        """The newest file that the manifest lists, which the server would load, and its size; 0 where it is missing."""
        manifest = ""
        with suppress(FileNotFoundError):
            manifest = (self._folder / _MANIFEST).read_text(errors="replace")
        number = max(map(int, _LISTED.findall(manifest)), default=0)
        size_bytes = 0
        with suppress(FileNotFoundError):
            size_bytes = (self._folder / _FILE.format(number)).stat().st_size
        return SyncedSize(number, size_bytes)

    def _newest(self) -> SyncedSize | None:
        """The newest file in the directory, and its size; None where there is none."""
        numbers = [int(match[1]) for path in self._folder.iterdir() if (match := _NAME.fullmatch(path.name))]
        if not numbers:
            return None
        number = max(numbers)
        return SyncedSize(number, (self._folder / _FILE.format(number)).stat().st_size)
