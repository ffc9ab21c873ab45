"""The keys of a JWKS as they are now: read at the start, when the file changes, every 10 minutes, and, at most every
30 seconds, when a token names a key that is not there.

One reading at a time, shared by all requests that wait for it. A document that cannot be used leaves the keys as
they are. An attacker, who may name keys at will, causes no more readings than that and delays no other request.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

import jwt

from claimd.identity.jwks import Jwks, JwksError, parse_jwks
from claimd.identity.jwks_source import JwksSource

REFRESH_SECONDS = 600.0
# Also after a reading that failed: the next one need not wait for ten minutes.
REREAD_SECONDS = 30.0
# How long a request waits for a reading, and a start for the first one.
WAIT_SECONDS = 3.0

_CHECK_SECONDS = 1.0
_FIRST_RETRY_SECONDS = 1.0

_log = logging.getLogger(__name__)


class KeysUnavailable(Exception):
    """No keys were read yet, so that no token can be judged; later it may be."""


class KeyFinder(Protocol):
    """Where a verifier finds the key that a token names."""

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """The key, or None where there is none of that name. Raises KeysUnavailable."""
        ...


class FixedKeys:
    """Keys that never change; without any, no token is good."""

    def __init__(self, keys: Mapping[str, jwt.PyJWK]) -> None:
        self._keys = keys

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """The key of that name."""
        return self._keys.get(kid)


class FreshKeys:
    """The keys of `source`. `clock` counts seconds; `run` has to be running beside."""

    def __init__(self, source: JwksSource, clock: Callable[[], float]) -> None:
        self._source = source
        self._clock = clock
        self._jwks: Jwks | None = None
        self._document = b""
        self._reading: asyncio.Task[None] | None = None
        self._due = clock()
        self._reread_at = float("-inf")
        self._retry_seconds = _FIRST_RETRY_SECONDS
        self._complaint = ""
        self._complained_at = float("-inf")

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """The key of that name, if need be after one more reading. Raises KeysUnavailable before the first document."""
        if self._jwks is None:
            raise KeysUnavailable
        key = self._jwks.keys.get(kid)
        if key is None and self._may_still_come():
            await asyncio.wait({self._start_reading()}, timeout=WAIT_SECONDS)
            key = self._jwks.keys.get(kid)
        return key

    async def start(self) -> None:
        """Read for the first time; return when that is done, has failed, or takes too long."""
        await asyncio.wait({self._start_reading()}, timeout=WAIT_SECONDS)

    async def run(self) -> None:
        """Keep them fresh, for ever."""
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            try:
                await self.refresh_if_due()
            except Exception:
                # Whatever it was: keys that are never read again would be noticed with the next rotation only.
                _log.exception("JWKS %s", self._source.name)

    async def refresh_if_due(self) -> None:
        """Read again if it is time to, or if the source may have changed."""
        if self._clock() >= self._due or await self._source.may_have_changed():
            await asyncio.wait({self._start_reading()})

    def _may_still_come(self) -> bool:
        """Whether there is, or may be, a reading for a request whose key is not there."""
        if self._reading is not None and not self._reading.done():
            return True
        now = self._clock()
        if now - self._reread_at < REREAD_SECONDS:
            return False
        self._reread_at = now
        return True

    def _start_reading(self) -> asyncio.Task[None]:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_document())
        return self._reading

    async def _read_document(self) -> None:
        try:
            document = await self._source.read()
            # A large document takes a while to be parsed: not on the loop.
            jwks = await asyncio.to_thread(parse_jwks, self._source.name, document)
        except JwksError as error:
            self._failed(str(error))
        except Exception:
            _log.exception("JWKS %s", self._source.name)
            self._failed(f"{self._source.name} cannot be read")
        else:
            self._accept(document, jwks)

    def _accept(self, document: bytes, jwks: Jwks) -> None:
        self._due = self._clock() + REFRESH_SECONDS
        if self._jwks is None or document != self._document or self._complaint:
            passed_over = "".join(f"; passed over: {phrase}" for phrase in jwks.passed_over)
            level = logging.INFO if jwks.keys else logging.WARNING
            _log.log(level, "JWKS %s: %s%s", self._source.name, describe_keys(jwks), passed_over)
        self._complaint = ""
        self._jwks, self._document = jwks, document

    def _failed(self, complaint: str) -> None:
        now = self._clock()
        if self._jwks is None:
            self._due = now + self._retry_seconds
            self._retry_seconds = min(REREAD_SECONDS, 2 * self._retry_seconds)
            meanwhile = "until it can, bearer tokens are answered 503"
        else:
            self._due = now + REREAD_SECONDS
            meanwhile = f"the keys read before stay in use ({describe_keys(self._jwks)})"
        if complaint != self._complaint or now - self._complained_at >= REFRESH_SECONDS:
            self._complaint, self._complained_at = complaint, now
            _log.warning("JWKS %s; %s", complaint, meanwhile)


def describe_keys(jwks: Jwks) -> str:
    """How many keys can verify, in words."""
    if not jwks.keys:
        return "no key that verifies: every bearer token is refused"
    return f"{len(jwks.keys)} key{'s' if len(jwks.keys) > 1 else ''}"
