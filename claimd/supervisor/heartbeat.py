"""Heartbeats, by which a supervisor knows that a child is alive.

claimd's own children write bytes to a pipe, from their event loop; Valkey replies to PING. The pipe is the one that
`--ready-fd` names: its first byte reports that the child is ready.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_HEARTBEAT_SECONDS = 0.25
_PING_SECONDS = 0.5
_RECONNECT_SECONDS = 0.05
_PIPE_BYTES = 65_536


def write_heartbeats(fd: int) -> None:
    """Write a byte now, and then four a second for as long as this process's event loop runs its callbacks."""
    # The supervisor may be stopped (SIGSTOP): the pipe then fills up within hours, and must not block the event loop.
    os.set_blocking(fd, False)
    loop = asyncio.get_running_loop()

    def write_one() -> None:
        with suppress(OSError):
            os.write(fd, b".")
        loop.call_later(_HEARTBEAT_SECONDS, write_one)

    write_one()


async def read_heartbeats(fd: int, on_heartbeat: Callable[[], None]) -> None:
    """Call `on_heartbeat` whenever bytes arrive; return at the end of the pipe."""
    loop = asyncio.get_running_loop()
    os.set_blocking(fd, False)
    while True:
        readable = loop.create_future()
        loop.add_reader(fd, _set_done, readable)
        try:
            await readable
        finally:
            loop.remove_reader(fd)
        with suppress(BlockingIOError):
            if not os.read(fd, _PIPE_BYTES):
                return
            on_heartbeat()


async def ping_for_heartbeats(socket: Path, on_heartbeat: Callable[[], None]) -> None:
    """Send PING to a server on a unix socket twice a second, and call `on_heartbeat` at each reply. Never returns.

    An error is a reply, too: a server that is still loading its file replies LOADING. The connection is kept open, so
    that a server that has no file descriptor left for another connection still replies.
    """
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(b"PING\r\n")
                while await reader.readline():
                    on_heartbeat()
                    await asyncio.sleep(_PING_SECONDS)
                    writer.write(b"PING\r\n")
            finally:
                writer.close()
        await asyncio.sleep(_RECONNECT_SECONDS)


def _set_done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
