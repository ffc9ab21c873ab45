"""Fetches a JWKS document from a URL: bounded in size and time."""

from typing import Final
from urllib.parse import urlsplit

import aiohttp

from claimd.identity.jwks import MAX_BYTES, JwksError
from claimd.identity.jwks_location import is_loopback, without_credentials

FETCH_SECONDS: Final = 5.0
_CHUNK_BYTES: Final = 64 * 1024


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
