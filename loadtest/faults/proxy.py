"""A proxy between gateway and server that drops, delays, cuts or repeats the server's replies.

It runs in a thread with an event loop of its own: claimd is started, and stopped, while it serves.
"""

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

_CHUNK_BYTES: Final = 1 << 20
_DELAY_SECONDS: Final = (0.01, 3.0)
_REPEAT_SECONDS: Final = (0.0, 0.005)


class Wires(tuple[asyncio.StreamWriter, asyncio.StreamWriter]):
    """The writers of one connection: to the gateway, and to the server."""

    __slots__ = ()

    def cut(self) -> None:
        """Reset the connections to both sides."""
        for writer in self:
            writer.transport.abort()


# What happens to a piece of a reply instead of being passed on.
ReplyFault = Callable[[Wires, bytes], Awaitable[None]]


async def lose(wires: Wires, reply: bytes) -> None:  # noqa: ARG001 - the signature of a fault
    """Drop the reply and close the connection: the call was executed, but the gateway does not know."""
    wires.cut()


async def delay(wires: Wires, reply: bytes) -> None:
    """Delay the reply by up to 3 s, past the gateway's timeout."""
    await asyncio.sleep(random.uniform(*_DELAY_SECONDS))
    wires[0].write(reply)


async def cut(wires: Wires, reply: bytes) -> None:
    """Send half of the reply, then close the connection."""
    wires[0].write(reply[: len(reply) // 2])
    with suppress(OSError):
        await wires[0].drain()
    wires.cut()


async def swallow(wires: Wires, reply: bytes) -> None:  # noqa: ARG001 - the signature of a fault
    """Drop the reply and everything after it, and keep the connection open."""
    await asyncio.Event().wait()


async def repeat(wires: Wires, reply: bytes) -> None:
    """Send the reply twice, the second time when the next call may be in flight already."""
    wires[0].write(reply)
    await asyncio.sleep(random.uniform(*_REPEAT_SECONDS))
    wires[0].write(reply)


class Proxy:
    """Forwards one unix socket to another. `fault` is applied to each piece of a reply with a chance of `share`."""

    def __init__(self, listen: Path, server: Path) -> None:
        self.server = server
        self.fault: ReplyFault | None = None
        self.share = 0.1
        self.applied = 0
        """How often a fault was applied so far."""
        self.accepted = 0
        """How many connections were accepted so far."""
        # The first so many accepted connections are silent: data is dropped in both directions.
        self._silent_before = 0
        self.listen = listen
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stopping = asyncio.Event()
        # Strong references: the event loop has none to its tasks, and one that swallows replies is awaited by no other.
        self._open: set[asyncio.Task[None]] = set()

    def silence(self) -> None:
        """Drop all data of the open connections without closing them; new ones work."""
        self._silent_before = self.accepted

    @property
    def connected(self) -> int:
        """The number of open connections, silent ones included."""
        return len(self._open)

    @classmethod
    @contextmanager
    def running(cls, listen: Path, server: Path) -> Iterator[Self]:
        """Serve until the context is left."""
        proxy = cls(listen, server)
        thread = threading.Thread(target=proxy._loop.run_until_complete, args=(proxy._serve(),), name="proxy")
        thread.start()
        proxy._ready.wait()
        try:
            yield proxy
        finally:
            proxy._loop.call_soon_threadsafe(proxy._stopping.set)
            thread.join()
            proxy._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_unix_server(self._accept, self.listen)
        self._ready.set()
        await self._stopping.wait()
        server.close()
        while self._open:
            for connecting in self._open:
                connecting.cancel()
            await asyncio.wait(self._open)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self.accepted = self.accepted, self.accepted + 1
        connecting = asyncio.create_task(self._connect(reader, writer, lambda: number < self._silent_before))
        self._open.add(connecting)
        connecting.add_done_callback(self._open.discard)

    async def _connect(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_silent: Callable[[], bool]
    ) -> None:
        try:
            from_server, to_server = await asyncio.open_unix_connection(self.server)
        except OSError:
            writer.transport.abort()
            return
        wires = Wires((writer, to_server))
        forwarding = asyncio.create_task(_forward(reader, to_server, is_silent))
        try:
            with suppress(OSError):
                await self._reply(from_server, wires, is_silent)
        finally:
            forwarding.cancel()
            wires.cut()

    async def _reply(self, server: asyncio.StreamReader, wires: Wires, is_silent: Callable[[], bool]) -> None:
        while reply := await server.read(_CHUNK_BYTES):
            fault = self.fault
            if is_silent():
                continue
            if fault is not None and random.random() < self.share:
                self.applied += 1
                await fault(wires, reply)
            else:
                wires[0].write(reply)
            await wires[0].drain()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_silent: Callable[[], bool]) -> None:
    with suppress(OSError):
        while piece := await reader.read(_CHUNK_BYTES):
            if is_silent():
                continue
            writer.write(piece)
            await writer.drain()
        writer.transport.abort()
