"""Serves an aiohttp application on a socket that is already bound, until it is told to stop; then answers what is in
flight and returns. What cannot even be parsed is answered as a problem, too.
"""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable
from typing import Protocol

from aiohttp import web

from claimd.http.errors import problem_of
from claimd.http.problems import Problem
from claimd.http.replies import retry_after

_BACKLOG = 4096
_KEEPALIVE_SECONDS = 75.0
# How long to read on, after an answer, what a client still sends of its body; then the connection is closed.
_LINGERING_SECONDS = 1.0
_DRAIN_SECONDS = 10.0

_log = logging.getLogger(__name__)


class _Connection(web.RequestHandler):
    """aiohttp's own connection, except that its complaints are problems instead of text, and not worth a traceback."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - the library's words are for its own logs
    ) -> web.StreamResponse:
        """Answer what went wrong outside of any handler, and close the connection."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun; all that is left is to hang up")
        if status == 500:
            _log.error("an answer failed", exc_info=exc)
            problem = Problem(503, "unavailable", headers=retry_after())
        else:
            _log.debug("a request was not HTTP: %s", exc)
            problem = Problem(400, "bad_request", "This is not a well-formed HTTP request.")
        response = problem.response()
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Answer; what the library refused before any middleware was asked, an expectation say, as a problem."""
        answer = problem_of(resp).response() if isinstance(resp, web.HTTPException) else resp
        return await super().finish_response(request, answer, start_time)


class Door(Protocol):
    """What stands in front of aiohttp's connections: makes its own, and closes them."""

    def connection(self) -> asyncio.Protocol:
        """A protocol for a connection that was just accepted."""
        ...

    async def watch(self) -> None:
        """Run beside the server: close what was idle for too long."""
        ...

    async def stop(self) -> None:
        """Close each connection: now, or after the answer it is waiting for. Return when all are closed."""
        ...


class AiohttpDoor:
    """No door in front: every connection is aiohttp's."""

    def __init__(self, connections: Callable[[], asyncio.Protocol]) -> None:
        self.connection = connections

    async def watch(self) -> None:
        """aiohttp has timers of its own."""

    async def stop(self) -> None:
        """aiohttp closes its connections itself."""


async def serve(
    app: web.Application,
    listener: socket.socket,
    on_ready: Callable[[], None],
    door: Callable[[Callable[[], asyncio.Protocol]], Door] = AiohttpDoor,
) -> None:
    """Serve until SIGTERM or SIGINT; then answer what is being decided, for at most 10 seconds, and hang up.

    `door` is given what makes a connection of aiohttp's.
    """
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    runner = web.AppRunner(app, shutdown_timeout=_DRAIN_SECONDS)
    await runner.setup()
    try:
        front = door(_connections(runner, loop))
        server = await loop.create_server(front.connection, sock=listener, backlog=_BACKLOG)
        watching = asyncio.create_task(front.watch())
        on_ready()
        await stopping.wait()
        server.close()
        watching.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                await front.stop()
    finally:
        await runner.cleanup()


def _connections(runner: web.AppRunner, loop: asyncio.AbstractEventLoop) -> Callable[[], asyncio.Protocol]:
    manager = runner.server
    if manager is None:
        raise RuntimeError("the runner is not set up")

    def connection() -> asyncio.Protocol:
        return _Connection(
            manager,
            loop=loop,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            lingering_time=_LINGERING_SECONDS,
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type] # None is how the library spells "no access log"
        )

    return connection
