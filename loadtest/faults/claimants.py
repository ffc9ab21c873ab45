"""People who claim without a pause, and a note of each request: when it left, when it was answered, what it was told.

They never give up: a connection that is lost is made anew, and whoever was left in doubt asks again at the end. A
quarter of them have asked before, so that replays meet every fault, too.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, Self

from claimd.identity.keys import Keys
from claimd.identity.passes import Passes
from loadtest.client.answers import HOLDING, REFUSALS, UNKNOWN, Answer, Finding, Reader
from loadtest.client.requests import claim_request
from loadtest.faults.waiting import PATIENCE_SECONDS
from loadtest.history.operations import Operation

# Longer than a gateway takes to say that it does not know.
_ANSWER_SECONDS: Final = 10.0
_HEAD_END: Final = b"\r\n\r\n"
_FOREVER_MS: Final = 2**42
_ASK_AGAIN: Final = 0.25
_REMEMBERED: Final = 20_000
_PAUSE_SECONDS: Final = 0.01
# So that hours of it fit into memory, and the machine has time for what is tried.
_THINK_SECONDS: Final = 0.01
_TO_BE_ASKED_ONCE_MORE: Final = 500


class StuckError(Exception):
    """Nobody was served for a minute: what was broken did not mend itself."""


class People:
    """`connections` people at a time, of one round. Use it with `async with`; leaving it stops them."""

    def __init__(self, port: int, keys: Keys, round_id: str, connections: int = 40, seed: int = 1) -> None:
        self.operations: list[Operation] = []
        self.told: Counter[Answer] = Counter()
        self.impatience = 0.0
        """The share of requests whose client hangs up instead of waiting for the answer."""
        self._port = port
        self._connections = connections
        self._passes = Passes(keys.pass_key)
        self._round_id = round_id
        # It is fair to be told of an opening that was moved.
        self._read = Reader(round_id).read
        self._random = random.Random(seed)
        self._newest = 0
        self._in_doubt: set[int] = set()
        self._holding: set[int] = set()
        self._served_at = 0.0
        self._served = asyncio.Event()
        self._asking: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._asking = [asyncio.create_task(self._ask_on()) for _ in range(self._connections)]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Nobody asks any more. Requests under way are given up, and so unknown."""
        for asking in self._asking:
            asking.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        self._asking = []

    async def served_after(self, moment: float) -> float:
        """When the first answer came after `moment` that says what became of a claim. Raises StuckError."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while self._served_at < moment:
                    self._served.clear()
                    await self._served.wait()
        except TimeoutError:
            raise StuckError(f"nobody was served for {PATIENCE_SECONDS:g} s; told so far: {self.summary()}") from None
        return self._served_at

    async def ask_once(self, person: int) -> Operation:
        """One request on a connection of its own, noted like all the others."""
        connection = await self._ask(None, person)
        if connection is not None:
            connection.close()
        return self.operations[-1]

    async def settle(self) -> None:
        """Whoever is in doubt asks until it is known, and some who know ask once more. Raises StuckError."""
        again = self._random.sample(sorted(self._holding), min(len(self._holding), _TO_BE_ASKED_ONCE_MORE))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while self._in_doubt or again:
                    left = iter([*self._in_doubt, *again])
                    again = []
                    await asyncio.gather(*(self._ask_each(left) for _ in range(self._connections)))
        except TimeoutError:
            raise StuckError(f"{len(self._in_doubt)} people are still in doubt; told: {self.summary()}") from None

    def summary(self) -> str:
        """How many were told what."""
        return ", ".join(f"{count} {told.name.lower()}" for told, count in self.told.most_common()) or "nothing"

    async def _ask_on(self) -> None:
        connection: _Connection | None = None
        try:
            while True:
                connection = await self._ask(connection, self._choose())
                await asyncio.sleep(_THINK_SECONDS * 2 * self._random.random())
        finally:
            if connection is not None:
                connection.close()

    async def _ask_each(self, people: Iterable[int]) -> None:
        connection: _Connection | None = None
        for person in people:
            connection = await self._ask(connection, person)
        if connection is not None:
            connection.close()

    def _choose(self) -> int:
        if self._newest and self._random.random() < _ASK_AGAIN:
            return self._newest - self._random.randrange(min(self._newest, _REMEMBERED))
        self._newest += 1
        return self._newest

    async def _ask(self, connection: "_Connection | None", person: int) -> "_Connection | None":
        """One request; the connection that the next may use."""
        try:
            connection = connection or await _Connection.to(self._port)
        except OSError:
            # Not sent, so nothing to note.
            await asyncio.sleep(_PAUSE_SECONDS)
            return None
        identity = person.to_bytes(16, "big")
        text = self._passes.issue_pass(self._round_id, identity, _FOREVER_MS)
        leaves = self._random.random() < self.impatience
        start, finding = time.monotonic(), Finding(Answer.DROPPED)
        try:
            finding = await self._answer(
                connection, claim_request(self._round_id, f"127.0.0.1:{self._port}", text), leaves
            )
        finally:
            self._note(person, Operation(start, time.monotonic(), identity, *finding[:3]))
            if finding.answer is Answer.DROPPED:
                connection.close()
        if finding.answer in UNKNOWN or finding.answer is Answer.RATE_LIMITED:
            await asyncio.sleep(_PAUSE_SECONDS)
        return None if finding.answer is Answer.DROPPED else connection

    async def _answer(self, connection: "_Connection", request: bytes, leaves: bool) -> Finding:
        with suppress(OSError, EOFError, ValueError, TimeoutError):
            async with asyncio.timeout(_ANSWER_SECONDS):
                connection.writer.write(request)
                if leaves:
                    await asyncio.sleep(self._random.random() * 0.005)
                    return Finding(Answer.DROPPED)
                return self._read(*await connection.answer())
        return Finding(Answer.DROPPED)

    def _note(self, person: int, operation: Operation) -> None:
        self.operations.append(operation)
        self.told[operation.answer] += 1
        if operation.answer in UNKNOWN:
            self._in_doubt.add(person)
        elif operation.answer in (*HOLDING, *REFUSALS):
            self._in_doubt.discard(person)
            self._served_at = operation.end
            self._served.set()
        if operation.answer in HOLDING:
            self._holding.add(person)


class _Connection:
    """A keep-alive connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, port: int) -> Self:
        """Raises OSError."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def answer(self) -> tuple[bytes, bytes]:
        """Status and body. Raises OSError, EOFError or ValueError where none comes."""
        head = (await self._reader.readuntil(_HEAD_END)).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return head[9:12], await self._reader.readexactly(length)

    def close(self) -> None:
        """With a reset, as a phone does that goes into a tunnel."""
        self.writer.transport.abort()
