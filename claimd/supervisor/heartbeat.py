"""How a child shows that it is alive: claimd's own by bytes on a pipe, written by their event loop; Valkey by replies.

The pipe is the one that `--ready-fd` names: its first byte says that the child is ready.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_BEAT_SECONDS = 0.25
_PING_SECONDS = 0.5
_RECONNECT_SECONDS = 0.05
_PIPE_BYTES = 65_536


def beat_on(fd: int) -> None:
    """Write a byte now, and one four times a second for as long as the event loop of this process turns."""
    # No other process has this end of the pipe. It fills up in hours when the supervisor is stopped.
    os.set_blocking(fd, False)
    loop = asyncio.get_running_loop()

    def beat() -> None:
        with suppress(OSError):
            os.write(fd, b".")
        loop.call_later(_BEAT_SECONDS, beat)

    beat()


async def read_beats(fd: int, heard: Callable[[], None]) -> None:
    """Call `heard` whenever bytes come; return at the end of the pipe."""
    loop = asyncio.get_running_loop()
    os.set_blocking(fd, False)
    while True:
        readable = loop.create_future()
        loop.add_reader(fd, _done, readable)
        try:
            await readable
        finally:
            loop.remove_reader(fd)
        with suppress(BlockingIOError):
            if not os.read(fd, _PIPE_BYTES):
                return
            heard()


async def ping_on(socket: Path, heard: Callable[[], None]) -> None:
    """Send PING to a server on a unix socket twice a second, and call `heard` at each reply. Never returns.

    An error is a reply, too: a server that is still reading its file says LOADING. The connection is kept, so that a
    server without a file left for another connection goes on being heard.
    """
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(b"PING\r\n")
                while await reader.readline():
                    heard()
                    await asyncio.sleep(_PING_SECONDS)
                    writer.write(b"PING\r\n")
            finally:
                writer.close()
        await asyncio.sleep(_RECONNECT_SECONDS)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
