"""Serves an aiohttp application on a bound socket until it is stopped; then answers what is in flight and returns."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final, Protocol

from aiohttp import web

from claimd.contract.limits import IDLE_SECONDS
from claimd.http.admission import Admission
from claimd.http.aiohttp_door import AiohttpDoor
from claimd.http.connections import Door, keep_sweeping
from claimd.http.cors import CORS
from claimd.http.middleware import COUNTS

_BACKLOG: Final = 4096
# A claim has its answer after 6.25 s at most. With the work that remains after it, the process ends within 8.5 s.
_DRAIN_SECONDS: Final = 6.5


class Stop(Protocol):
    """When to stop, and when to stop without waiting for answers."""

    async def wait(self) -> None:
        """Return when it is time to stop."""
        ...

    async def impatience(self) -> None:
        """Return when requests in flight are to be left unanswered."""
        ...


async def serve(
    app: web.Application,
    listener: socket.socket,
    on_ready: Callable[[], None],
    stop: Stop,
    in_front: Callable[[Callable[[], asyncio.Protocol]], Door] | None = None,
    *,
    idle_seconds: float = IDLE_SECONDS,
) -> None:
    """Serve until `stop`; then answer the requests in flight, for at most 6.5 seconds, and close the connections.

    `in_front` makes the door in front of aiohttp's, from the factory of aiohttp's connections. `on_ready` is called
    when the socket listens. aiohttp closes a connection without a request after `idle_seconds`.
    """
    loop = asyncio.get_running_loop()
    runner = web.AppRunner(app, shutdown_timeout=_DRAIN_SECONDS)
    await runner.setup()
    behind = AiohttpDoor(runner, idle_seconds)
    front = in_front(behind.connection) if in_front else behind
    try:
        admission = Admission(front, behind, app[COUNTS], app[CORS])
        server = await loop.create_server(admission.connection, sock=listener, backlog=_BACKLOG)
        sweeping = asyncio.create_task(keep_sweeping({behind, front}))
        on_ready()
        await stop.wait()
        server.close()
        sweeping.cancel()
    finally:
        await _drain(front, runner, stop)


async def _drain(front: Door, runner: web.AppRunner, stop: Stop) -> None:
    """Close each connection of both doors after the answer it waits for, or when the time is up."""
    draining = asyncio.create_task(_close_connections(front, runner))
    impatience = asyncio.create_task(stop.impatience())
    try:
        # aiohttp applies its own limit twice: while it waits for handlers, and while it cancels them.
        await asyncio.wait({draining, impatience}, timeout=_DRAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if draining.done():
            draining.result()
    finally:
        draining.cancel()
        impatience.cancel()
        await asyncio.gather(draining, impatience, return_exceptions=True)


async def _close_connections(front: Door, runner: web.AppRunner) -> None:
    await asyncio.gather(front.stop(), runner.cleanup())
