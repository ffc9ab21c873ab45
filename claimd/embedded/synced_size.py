"""How much of the append-only file is on disk for certain, noted beside it once a second while the server runs.

The file alone cannot tell: one that was cut in half looks like one whose last write was torn by a power failure, and
Valkey starts with what is left of either. The note is a lower bound: all bytes that it counts were synced, and claims
were acknowledged by them. So a file that has fewer has lost acknowledged claims, whatever cut it; one
that has more may end in a torn write, which was never acknowledged.
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

_NOTE = "valkey.written"
_DIRECTORY = "appendonlydir"
_MANIFEST = "appendonly.aof.manifest"
_FILE = "appendonly.aof.{}.incr.aof"
_NAME = re.compile(r"appendonly\.aof\.(\d+)\.incr\.aof", re.ASCII)
_LISTED = re.compile(r"^file \S+ seq (\d+) type i\b", re.ASCII | re.MULTILINE)
_SPELLED = re.compile(r"(\d{20}) (\d{20})\n", re.ASCII)
_EVERY_SECONDS = 1.0


class Written(NamedTuple):
    """The number of the newest file (each rewrite begins another) and how many of its bytes are on disk."""

    number: int
    size_bytes: int


class WrittenNote:
    """The note in one data directory. `say` gets lines for a person."""

    def __init__(self, data_dir: Path, say: Callable[[str], None]) -> None:
        self._path = data_dir / _NOTE
        self._folder = data_dir / _DIRECTORY
        self._say = say
        self._noted: Written | None = None
        self._said = False

    def check(self, *, accept_lost_claims: bool) -> None:
        """Raise StartError where the file has fewer bytes than were on disk; changes nothing.

        Without a note, as in a directory of an earlier version, there is nothing to compare.
        """
        noted, found = self._read(), self._listed()
        if noted is None or found >= noted:
            return
        file = self._folder / _FILE.format(noted.number)
        lost = (
            f"{file} has {found.size_bytes if found.number == noted.number else 0:,} bytes, but {noted.size_bytes:,} "
            "were on disk when claimd ran: claims that were acknowledged are lost"
        )
        if not accept_lost_claims:
            raise StartError(
                f"{lost}; nothing was changed. Put the file back from a copy, or give those claims up with "
                "`claimd up --accept-lost-claims`: their packs go to other people"
            )
        self._say(f"  WARNING   {lost}, and given up (--accept-lost-claims)")

    async def keep(self, ping: Callable[[], Awaitable[Any]]) -> None:
        """Note it once a second, for ever."""
        while True:
            await self.note(ping)
            await asyncio.sleep(_EVERY_SECONDS)

    async def note(self, ping: Callable[[], Awaitable[Any]]) -> None:
        """Note what is on disk now; not if the server does not answer `ping`.

        The server answers nothing before it has synced what it has written. So what the file had before the question is
        on disk by the answer.
        """
        with suppress(RedisError, OSError, TimeoutError):
            written = self._newest()
            await ping()
            if written is not None and written != self._noted:
                await asyncio.to_thread(self._write, written)

    def _write(self, written: Written) -> None:
        text = f"{written.number:020} {written.size_bytes:020}\n"
        try:
            if self._path.exists():
                # In place, within one sector: no room is needed, and the directory stays as it is.
                with self._path.open("r+") as file:
                    file.write(text)
                    file.flush()
                    os.fdatasync(file.fileno())
            else:
                write_atomically(self._path, text)
            self._noted = written
        except OSError as error:
            if not self._said:
                self._say(f"{self._path} cannot be written ({error.strerror}): a file that is cut may go unnoticed")
            self._said = True

    def _read(self) -> Written | None:
        try:
            text = self._path.read_text(errors="replace")
        except FileNotFoundError:
            return None
        spelled = _SPELLED.fullmatch(text)
        if spelled is None:
            self._say(f"  WARNING   {self._path} is damaged: whether the append-only file was cut cannot be told")
            return None
        return Written(int(spelled[1]), int(spelled[2]))

    def _listed(self) -> Written:
        """The newest file that the server would read, and its size."""
        manifest = ""
        with suppress(FileNotFoundError):
            manifest = (self._folder / _MANIFEST).read_text(errors="replace")
        number = max(map(int, _LISTED.findall(manifest)), default=0)
        size_bytes = 0
        with suppress(FileNotFoundError):
            size_bytes = (self._folder / _FILE.format(number)).stat().st_size
        return Written(number, size_bytes)

    def _newest(self) -> Written | None:
        """The newest file there is, and its size."""
        numbers = [int(match[1]) for path in self._folder.iterdir() if (match := _NAME.fullmatch(path.name))]
        if not numbers:
            return None
        number = max(numbers)
        return Written(number, (self._folder / _FILE.format(number)).stat().st_size)
