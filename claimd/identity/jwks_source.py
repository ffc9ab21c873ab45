"""Where a JWKS document is read from: a file or a URL, bounded in size, and without blocking the event loop."""

import asyncio
import os
import time
from pathlib import Path
from typing import Protocol

from claimd.identity.jwks import MAX_BYTES, JwksError
from claimd.identity.jwks_location import is_url

# Times of files are coarse: a file modified less than this ago may be rewritten without a visible change of its times.
_SETTLED_SECONDS = 2.0


class JwksSource(Protocol):
    """Where a document comes from."""

    @property
    def name(self) -> str:
        """The location for messages, without credentials."""
        ...

    async def read(self) -> bytes:
        """The current document. Raises JwksError where it cannot be read or has more than MAX_BYTES."""
        ...

    async def may_have_changed(self) -> bool:
        """Whether another reading may return something else; False where only a reading could find out."""
        ...


def jwks_source(location: str) -> JwksSource:
    """The source for a location that `check_location` accepts."""
    if not is_url(location):
        return FileSource(Path(location))
    # Imported for a URL alone: an HTTP client takes as long to import as all the rest of a supervisor.
    from claimd.identity.jwks_url import UrlSource

    return UrlSource(location)


class FileSource:
    """Reads a file, and notices when it is replaced, rewritten or mounted anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last_state: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        """The path of the file."""
        return str(self._path)

    async def read(self) -> bytes:
        """The content of the file. Raises JwksError."""
        return await asyncio.to_thread(self._read)

    async def may_have_changed(self) -> bool:
        """Whether the file is another one than at the last reading, or has other times or another size."""
        return await asyncio.to_thread(self._differs)

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                state = os.fstat(file.fileno())
                self._last_state = _state_of(state) if abs(time.time() - state.st_mtime) > _SETTLED_SECONDS else None
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            self._last_state = ()
            raise JwksError(f"{self.name} cannot be read: {error.strerror}") from None
        if len(content) > MAX_BYTES:
            raise JwksError(f"{self.name} has more than {MAX_BYTES} bytes: it cannot be a JWKS")
        return content

    def _differs(self) -> bool:
        try:
            return self._last_state != _state_of(self._path.stat())
        except OSError:
            return self._last_state != ()


def _state_of(state: os.stat_result) -> tuple[int, ...]:
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns
