"""Clients that claim without a pause, and a record of each request: when it was sent and answered, and the answer.

They never give up: a lost connection is made anew, and requests with an unknown outcome are repeated at the end. A
quarter of the requests repeat an earlier claim, so that replays meet every fault, too.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, Self

from claimd.domain.claims import IDENTITY_BYTES
from claimd.identity.keys import Keys
from claimd.identity.passes import Passes
from loadtest.client.answers import HOLDING, REFUSALS, UNKNOWN, Answer, Finding, Reader
from loadtest.client.heads import VariedHeads
from loadtest.client.requests import Requests
from loadtest.faults.waiting import PATIENCE_SECONDS
from loadtest.history.operations import Operation

# Longer than a gateway takes to answer that the outcome is unknown.
_TIMEOUT_SECONDS: Final = 10.0
_HEAD_END: Final = b"\r\n\r\n"
_NEVER_MS: Final = 2**42
_SHARE_REPEATED: Final = 0.25
# How many of the newest claimants may claim again.
_REPEATING: Final = 20_000
_BACKOFF_SECONDS: Final = 0.01
# The mean pause of a connection between two requests: hours of operations fit into memory, and the fault has some CPU.
_THINK_SECONDS: Final = 0.01
_REPLAYS_AT_THE_END: Final = 500


class StuckError(Exception):
    """No claim was decided for a minute: claimd did not recover."""


class Claimants:
    """Claims of one round over `connections` connections. Use it with `async with`; leaving it stops them.

    Claimants are numbers from 1, in the order of their first request.
    """

    def __init__(self, port: int, keys: Keys, round_id: str, connections: int = 40, seed: int = 1) -> None:
        self.operations: list[Operation] = []
        self.answers: Counter[Answer] = Counter()
        self.impatience = 0.0
        """The share of requests whose client closes the connection instead of waiting for the answer."""
        self._port = port
        self._connections = connections
        self._passes = Passes(keys.pass_key)
        self._round_id = round_id
        self._requests = Requests(round_id, f"127.0.0.1:{port}", VariedHeads(seed))
        # Without the opening time: operators move it.
        self._read = Reader(round_id).read
        self._random = random.Random(seed)
        self._newest = 0
        self._in_doubt: set[int] = set()
        self._holding: set[int] = set()
        self._decided_at = 0.0
        self._decided = asyncio.Event()
        self._claiming: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._claiming = [asyncio.create_task(self._claim_forever()) for _ in range(self._connections)]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Stop claiming. Requests in flight are abandoned, so their outcome is unknown."""
        for claiming in self._claiming:
            claiming.cancel()
        await asyncio.gather(*self._claiming, return_exceptions=True)
        self._claiming = []

    async def decided_after(self, moment: float) -> float:
        """Wait for the first answer after `moment` that decides a claim; return its time. Raises StuckError.

        Both are monotonic times in seconds.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while self._decided_at < moment:
                    self._decided.clear()
                    await self._decided.wait()
        except TimeoutError:
            raise StuckError(f"no claim was decided for {PATIENCE_SECONDS:g} s; answers: {self.summary()}") from None
        return self._decided_at

    async def claim_once(self, claimant: int) -> Operation:
        """Send one request on a connection of its own, and record it."""
        connection = await self._claim(None, claimant)
        if connection is not None:
            connection.close()
        return self.operations[-1]

    async def settle(self) -> None:
        """Repeat all requests with an unknown outcome until they are decided, and 500 others. Raises StuckError."""
        replays = self._random.sample(sorted(self._holding), min(len(self._holding), _REPLAYS_AT_THE_END))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while self._in_doubt or replays:
                    left = iter([*self._in_doubt, *replays])
                    replays = []
                    await asyncio.gather(*(self._claim_each(left) for _ in range(self._connections)))
        except TimeoutError:
            raise StuckError(f"{len(self._in_doubt)} outcomes are unknown; answers: {self.summary()}") from None

    def summary(self) -> str:
        """Return the number of answers of each kind, the most frequent first."""
        return ", ".join(f"{count} {answer.name.lower()}" for answer, count in self.answers.most_common()) or "none"

    async def _claim_forever(self) -> None:
        connection: _Connection | None = None
        try:
            while True:
                connection = await self._claim(connection, self._choose())
                await asyncio.sleep(_THINK_SECONDS * 2 * self._random.random())
        finally:
            if connection is not None:
                connection.close()

    async def _claim_each(self, claimants: Iterable[int]) -> None:
        connection: _Connection | None = None
        for claimant in claimants:
            connection = await self._claim(connection, claimant)
        if connection is not None:
            connection.close()

    def _choose(self) -> int:
        """Return a new claimant, or with a chance of a quarter an earlier one."""
        if self._newest and self._random.random() < _SHARE_REPEATED:
            return self._newest - self._random.randrange(min(self._newest, _REPEATING))
        self._newest += 1
        return self._newest

    async def _claim(self, connection: "_Connection | None", claimant: int) -> "_Connection | None":
        """Send one request; return the connection for the next, or None if it was lost."""
        try:
            connection = connection or await _Connection.to(self._port)
        except OSError:
            # Nothing was sent, so nothing is recorded.
            await asyncio.sleep(_BACKOFF_SECONDS)
            return None
        identity = claimant.to_bytes(IDENTITY_BYTES, "big")
        pass_text = self._passes.issue_pass(self._round_id, identity, _NEVER_MS)
        request = self._requests.claim(claimant, pass_text.encode())
        hangs_up = self._random.random() < self.impatience
        start, finding = time.monotonic(), Finding(Answer.DROPPED)
        try:
            finding = await self._answer(connection, request, hangs_up)
        finally:
            answer, serial, claimed_at_ms, _ = finding
            self._record(claimant, Operation(start, time.monotonic(), identity, answer, serial, claimed_at_ms))
            if answer is Answer.DROPPED:
                connection.close()
        if answer in UNKNOWN or answer is Answer.RATE_LIMITED:
            await asyncio.sleep(_BACKOFF_SECONDS)
        return None if answer is Answer.DROPPED else connection

    async def _answer(self, connection: "_Connection", request: bytes, hangs_up: bool) -> Finding:
        with suppress(OSError, EOFError, ValueError, TimeoutError):
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                connection.writer.write(request)
                if hangs_up:
                    await asyncio.sleep(self._random.random() * 0.005)
                    return Finding(Answer.DROPPED)
                return self._read(*await connection.read_answer())
        return Finding(Answer.DROPPED)

    def _record(self, claimant: int, operation: Operation) -> None:
        self.operations.append(operation)
        self.answers[operation.answer] += 1
        if operation.answer in UNKNOWN:
            self._in_doubt.add(claimant)
        elif operation.answer in (*HOLDING, *REFUSALS):
            self._in_doubt.discard(claimant)
            self._decided_at = operation.end
            self._decided.set()
        if operation.answer in HOLDING:
            self._holding.add(claimant)


class _Connection:
    """A keep-alive connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, port: int) -> Self:
        """Connect to a port of 127.0.0.1. Raises OSError."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def read_answer(self) -> tuple[bytes, bytes]:
        """Read one answer; return status and body. Raises OSError, EOFError or ValueError where none comes."""
        head = (await self._reader.readuntil(_HEAD_END)).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return head[9:12], await self._reader.readexactly(length)

    def close(self) -> None:
        """Reset the connection, as happens when a phone loses its network."""
        self.writer.transport.abort()
