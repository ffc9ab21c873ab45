"""The current keys of a JWKS. It is read at the start, when its file changes, every 10 minutes, and, at most every
30 seconds, when a token names an unknown key.

There is one reading at a time, shared by all requests that wait for it. A document that cannot be used leaves the
keys as they are. An attacker can name unknown keys at will: that causes no further readings and delays no other
request.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

import jwt

from claimd.identity.jwks import Jwks, JwksError, parse_jwks
from claimd.identity.jwks_source import JwksSource

REFRESH_SECONDS = 600.0
# The shortest time between two readings for unknown keys; also the pause after a reading that failed.
REREAD_SECONDS = 30.0
# How long a request with an unknown key waits for a reading, and how long the start waits for the first one.
WAIT_SECONDS = 3.0

_CHECK_SECONDS = 1.0
_FIRST_RETRY_SECONDS = 1.0

_log = logging.getLogger(__name__)


class KeysUnavailable(Exception):
    """No JWKS was read yet, so no token can be verified. A later retry may succeed."""


class KeyFinder(Protocol):
    """Finds the key that a token names."""

    @property
    def settled(self) -> bool:
        """Whether a key that is not `known` is unknown for now, so that `find` would return None without waiting."""
        ...

    def known(self, kid: str) -> jwt.PyJWK | None:
        """The key with this `kid` of the JWKS in use: the same object for as long as the JWKS does not change."""
        ...

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """The key with this `kid`, or None where the JWKS has none. Raises KeysUnavailable before the first JWKS."""
        ...


class FixedKeys:
    """Implements `KeyFinder` with keys that never change; none of its methods raises."""

    def __init__(self, keys: Mapping[str, jwt.PyJWK]) -> None:
        self._keys = keys

    @property
    def settled(self) -> bool:
        """True: no other keys will come."""
        return True

    def known(self, kid: str) -> jwt.PyJWK | None:
        """The key with this `kid`, or None."""
        return self._keys.get(kid)

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """The key with this `kid`, or None."""
        return self._keys.get(kid)


class FreshKeys:
    """Implements `KeyFinder` with the keys of `source`, which `run`, a task beside, keeps current.

    `clock` returns seconds and never goes back.
    """

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

    @property
    def settled(self) -> bool:
        """Whether there is a JWKS, no reading of another one is under way, and none may be started for a request."""
        return self._jwks is not None and not self._is_reading() and self._clock() - self._reread_at < REREAD_SECONDS

    def known(self, kid: str) -> jwt.PyJWK | None:
        """The key with this `kid` of the newest JWKS; None where that has none, or before the first one."""
        return None if self._jwks is None else self._jwks.keys.get(kid)

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """The key with this `kid`, or None. For an unknown one it waits for one more reading, up to WAIT_SECONDS.

        Raises KeysUnavailable before the first document.
        """
        if self._jwks is None:
            raise KeysUnavailable
        key = self._jwks.keys.get(kid)
        if key is None and self._may_still_come():
            await asyncio.wait({self._start_reading()}, timeout=WAIT_SECONDS)
            key = self._jwks.keys.get(kid)
        return key

    async def start(self) -> None:
        """Read the document for the first time. Returns when that has succeeded or failed, or after WAIT_SECONDS."""
        await asyncio.wait({self._start_reading()}, timeout=WAIT_SECONDS)

    async def run(self) -> None:
        """Keep the keys current until the task is cancelled."""
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            try:
                await self.refresh_if_due()
            except Exception:
                # Any error: if this task ended, its absence would be noticed only at the next rotation of keys.
                _log.exception("JWKS %s", self._source.name)

    async def refresh_if_due(self) -> None:
        """Read the document again if that is due or if the source may have changed, and wait for the end of it."""
        if self._clock() >= self._due or await self._source.may_have_changed():
            await asyncio.wait({self._start_reading()})

    def _may_still_come(self) -> bool:
        """Whether a reading is under way or may be started for a request with an unknown key."""
        if self._is_reading():
            return True
        now = self._clock()
        if now - self._reread_at < REREAD_SECONDS:
            return False
        self._reread_at = now
        return True

    def _is_reading(self) -> bool:
        return self._reading is not None and not self._reading.done()

    def _start_reading(self) -> asyncio.Task[None]:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_document())
        return self._reading

    async def _read_document(self) -> None:
        try:
            document = await self._source.read()
            # A large document takes milliseconds to parse, which would delay the event loop.
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
        if self._jwks is None or document != self._document:
            # An equal document leaves the key objects in place, and with them what is remembered of verified tokens.
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
    """How many keys of the JWKS can verify tokens, as a phrase for messages."""
    if not jwks.keys:
        return "no key that verifies: every bearer token is refused"
    return f"{len(jwks.keys)} key{'s' if len(jwks.keys) > 1 else ''}"
