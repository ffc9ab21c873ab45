"""Reads streams of events over bare sockets, and checks their form."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from multidict import CIMultiDict

from claimd.contract.headers import UNBUFFERED
from tests.contract.conformance import check_success
from tests.http.raw import Raw, connected
from tests.http.serving import Served
from tests.patience import PATIENCE_SECONDS

_EVENT = re.compile(rb'event: round\nid: (W/"[0-9a-f]{18}")\ndata: (\{.*\})', re.DOTALL)


# Of 4 KiB each.
_MOST_EVENTS_IN_THE_KERNEL = 40


@dataclass(frozen=True, slots=True)
class Event:
    """A `round` event: its id, its round, and the loop's time at which it was read."""

    id: str
    round: dict[str, Any]
    at: float


@dataclass(slots=True)
class Stream:
    """A stream whose head was read: events, comments and `retry` fields as they come."""

    path: str
    raw: Raw
    status: int
    headers: CIMultiDict[str]
    comments: int = 0
    retries: list[int] = field(default_factory=list)
    _unread: bytes = b""
    _unparsed: bytes = b""

    async def event(self) -> Event:
        """The next event. Raises AssertionError where the stream ends instead."""
        event = await self.event_or_end()
        assert event is not None, "the stream has ended"
        return event

    async def event_or_end(self) -> Event | None:
        """The next event; None at the end of the stream."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (block := await self._block()) is not None:
                if (event := self._read(block)) is not None:
                    return event
        return None

    async def until(self, **members: Any) -> Event:
        """The first event whose round has these members."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                event = await self.event()
                if members.items() <= event.round.items():
                    return event

    async def to_the_end(self) -> None:
        """Read to the end of the stream, and of the connection."""
        while await self.event_or_end() is not None:
            pass
        assert await self.raw.has_ended()

    async def comment(self) -> None:
        """Return when one more comment has come; events in between are dropped."""
        before = self.comments
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.comments == before:
                block = await self._block()
                assert block is not None, "the stream has ended"
                self._read(block)

    def _read(self, block: bytes) -> Event | None:
        if block == b":":
            self.comments += 1
        elif block.startswith(b"retry: "):
            self.retries.append(int(block[7:]))
        else:
            match = _EVENT.fullmatch(block)
            assert match is not None, f"no event looks like this: {block!r}"
            check_success("public", "GET", self.path, self.status, self.headers, block)
            return Event(match[1].decode(), json.loads(match[2]), asyncio.get_running_loop().time())
        return None

    async def _block(self) -> bytes | None:
        """The next part of the stream, without the empty line that ends it; None at its end."""
        while b"\n\n" not in self._unparsed:
            if not await self._more():
                assert not self._unparsed, f"cut off: {self._unparsed!r}"
                return None
        block, _, self._unparsed = self._unparsed.partition(b"\n\n")
        return block

    async def _more(self) -> bool:
        if self.headers.get("transfer-encoding") != "chunked":
            data = await self.raw.some()
            self._unparsed += data
            return bool(data)
        while (size_end := self._unread.find(b"\r\n")) < 0 or len(self._unread) < (
            needed := size_end + 4 + int(self._unread[:size_end], 16)
        ):
            data = await self.raw.some()
            assert data, f"the connection was closed within a stream, after {self._unread!r}"
            self._unread += data
        chunk, self._unread = self._unread[size_end + 2 : needed - 2], self._unread[needed:]
        self._unparsed += chunk
        return bool(chunk)


class FullListener:
    """A client with so much unread that something waits for it in the gateway, behind the kernel's buffers."""

    def __init__(self, gateway: Served, stream: Stream, transport: asyncio.Transport) -> None:
        self.stream, self.transport = stream, transport
        self.number = 0
        self._gateway = gateway

    @property
    def waiting_bytes(self) -> int:
        """What waits for it in the gateway's process."""
        return self.transport.get_write_buffer_size()

    async def change(self, witness: Stream) -> None:
        """Change the round, by an event of 4 KiB, and return when another listener has the event."""
        self.number += 1
        fields = {"title": f"{self.number}", "pack": {"text": "x" * 4000}}
        await self._gateway.store.rounds.round_edit("night", fields, "for a test")
        await witness.until(title=f"{self.number}")

    async def fill(self, witness: Stream) -> None:
        """Change the round until something waits."""
        before = self.number
        while not self.waiting_bytes:
            await self.change(witness)
            assert self.number < before + _MOST_EVENTS_IN_THE_KERNEL, "the kernel queues everything"


@asynccontextmanager
async def full_listener(gateway: Served) -> AsyncIterator[tuple[FullListener, Stream]]:
    """A client that has read nothing of its stream, the only one so far; and a witness that has read everything."""
    async with listening(gateway.port, receive_bytes=4096) as stream:
        (transport,) = [connection.transport for connection in gateway.behind.connections]
        assert transport is not None
        async with listening(gateway.port) as witness:
            full = FullListener(gateway, stream, transport)
            await full.fill(witness)
            yield full, witness


@asynccontextmanager
async def listening(
    port: int,
    round_id: str = "night",
    *,
    receive_bytes: int = 0,
    version: str = "1.1",
    headers: str = "",
    proxied: bool = False,
) -> AsyncIterator[Stream]:
    """A client that listens to a round; the status may be that of a problem. `proxied`: by nginx."""
    async with connected(port, receive_bytes=receive_bytes) as raw:
        path = f"/v1/rounds/{round_id}/events"
        await raw.send(f"GET {path} HTTP/{version}\r\nHost: x\r\n{headers}\r\n".encode())
        answer = await raw.answer()
        # nginx keeps this header for itself.
        kept = {UNBUFFERED.name: "no"} if proxied and answer.status == HTTPStatus.OK else {}
        yield Stream(path, raw, answer.status, CIMultiDict(answer.headers | kept))
