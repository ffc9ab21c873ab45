"""Reads a JWKS document from a file or an https URL: bounded in size and time, and without blocking the event loop."""

import asyncio
import os
import time
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp

from claimd.identity.jwks import JwksError
from claimd.identity.jwks_location import is_loopback, is_url, without_credentials

# Documents of identity providers have 1 to 20 KiB.
MAX_BYTES = 512 * 1024
FETCH_SECONDS = 5.0

# Times of files are coarse: a file modified less than this ago may be rewritten without a visible change of its times.
_SETTLED_SECONDS = 2.0
_CHUNK_BYTES = 64 * 1024


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
    return UrlSource(location) if is_url(location) else FileSource(Path(location))


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


class UrlSource:
    """Fetches a URL. Redirects are not followed; proxies of the environment are used, but not for this machine."""

    def __init__(self, url: str) -> None:
        self._url = url

    @property
    def name(self) -> str:
        """The URL without user, password, query and fragment."""
        return without_credentials(self._url)

    async def read(self) -> bytes:
        """The body of the response to one GET. Raises JwksError for anything but a 200 within FETCH_SECONDS."""
        try:
            return await self._fetch()
        except JwksError:
            raise
        except TimeoutError:
            raise JwksError(f"{self.name} did not answer within {FETCH_SECONDS:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The message of the error itself may quote the whole URL, with its password.
            raise JwksError(f"{self.name} cannot be read: {_reason(error)}") from None

    async def may_have_changed(self) -> bool:
        """False: a fetch would be needed to find out."""
        return False

    async def _fetch(self) -> bytes:
        # Uncompressed: a few compressed bytes can expand to fill the memory.
        headers = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}
        through_proxy = not is_loopback(urlsplit(self._url).hostname or "")
        timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
        async with (
            aiohttp.ClientSession(
                headers=headers, timeout=timeout, trust_env=through_proxy, auto_decompress=False
            ) as session,
            session.get(self._url, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise JwksError(f"{self.name} answered {answer.status} instead of 200")
            content = bytearray()
            async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
                content += chunk
                if len(content) > MAX_BYTES:
                    raise JwksError(f"{self.name} answered more than {MAX_BYTES} bytes: it cannot be a JWKS")
            return bytes(content)


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        return cause.strerror or type(cause).__name__
    return type(error).__name__
