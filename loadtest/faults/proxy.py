"""Stands between the gateway and its server, and loses, holds up, cuts or repeats what the server says.

It runs in a thread of its own: claimd is started, and stopped, while it serves.
"""

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

_CHUNK_BYTES: Final = 1 << 20
_LATE_SECONDS: Final = (0.01, 3.0)
_AGAIN_SECONDS: Final = (0.0, 0.005)


class Wires(tuple[asyncio.StreamWriter, asyncio.StreamWriter]):
    """Both ends of one connection: to the client, and to the server."""

    __slots__ = ()

    def cut(self) -> None:
        """Hang up on both."""
        for writer in self:
            writer.transport.abort()


# What is done with a piece of a reply instead of handing it on.
Fault = Callable[[Wires, bytes], Awaitable[None]]


async def lose(wires: Wires, reply: bytes) -> None:  # noqa: ARG001 - a fault's shape
    """What was asked is done, and nobody hears of it."""
    wires.cut()


async def hold_up(wires: Wires, reply: bytes) -> None:
    """It comes late, perhaps when nobody waits for it any more."""
    await asyncio.sleep(random.uniform(*_LATE_SECONDS))
    wires[0].write(reply)


async def cut_short(wires: Wires, reply: bytes) -> None:
    """Half of it comes, then the end of the connection."""
    wires[0].write(reply[: len(reply) // 2])
    with suppress(OSError):
        await wires[0].drain()
    wires.cut()


async def swallow(wires: Wires, reply: bytes) -> None:  # noqa: ARG001 - a fault's shape
    """Neither an answer nor an end: the connection is a black hole from here on."""
    await asyncio.Event().wait()


async def repeat(wires: Wires, reply: bytes) -> None:
    """It comes twice, the second time when something else may have been asked already."""
    wires[0].write(reply)
    await asyncio.sleep(random.uniform(*_AGAIN_SECONDS))
    wires[0].write(reply)


class Proxy:
    """From one unix socket to another. `fault` meets each piece of a reply with a chance of `share`."""

    def __init__(self, listen: Path, server: Path) -> None:
        self.server = server
        self.fault: Fault | None = None
        self.share = 0.1
        self.applied = 0
        self.accepted = 0
        # Connections that were accepted before this many were: what comes on them is dropped, in both directions.
        self._silent_before = 0
        self.listen = listen
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stopping = asyncio.Event()
        # The loop itself keeps none of its tasks alive, and what waits in a black hole is wanted by nobody.
        self._open: set[asyncio.Task[None]] = set()

    def silence(self) -> None:
        """Drop whatever comes on the connections there are, without an end or a reset; new ones work."""
        self._silent_before = self.accepted

    @property
    def connected(self) -> int:
        """How many connections are open, silent ones included."""
        return len(self._open)

    @classmethod
    @contextmanager
    def running(cls, listen: Path, server: Path) -> Iterator[Self]:
        """One that serves until it is left."""
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
        asking = asyncio.create_task(_hand_on(reader, to_server, is_silent))
        try:
            with suppress(OSError):
                await self._answer(from_server, wires, is_silent)
        finally:
            asking.cancel()
            wires.cut()

    async def _answer(self, server: asyncio.StreamReader, wires: Wires, is_silent: Callable[[], bool]) -> None:
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


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_silent: Callable[[], bool]) -> None:
    with suppress(OSError):
        while piece := await reader.read(_CHUNK_BYTES):
            if is_silent():
                continue
            writer.write(piece)
            await writer.drain()
        writer.transport.abort()
