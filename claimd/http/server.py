"""Serves an aiohttp application on a socket that is already bound, until it is told to stop; then answers what is in
flight and returns. What cannot even be parsed is answered as a problem, too.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any, Protocol, cast

from aiohttp import web
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from claimd.contract.limits import IDLE_SECONDS, REQUEST_SECONDS
from claimd.contract.problems import Code
from claimd.http.admission import Admission
from claimd.http.caching import forbid_caching
from claimd.http.connections import Door, UnreadAnswers, keep_sweeping
from claimd.http.middleware import COUNTS, problem_of_library
from claimd.http.problems import Problem, retry_later

_BACKLOG = 4096
# How long to read on, after an answer, what a client still sends of its body; then the connection is closed.
_LINGERING_SECONDS = 1.0
# A claim has its answer after 6.25 s at most. With what is left to do behind it, all is over in 8.5 s.
_DRAIN_SECONDS = 6.5

_log = logging.getLogger(__name__)


class _Connection(web.RequestHandler):
    """aiohttp's own connection, except that a client has limited time, and that complaints are problems instead of
    text, and not worth a traceback.
    """

    __slots__ = (
        "_arriving_since",
        "_being_answered",
        "_body",
        "_clock",
        "_ended",
        "_idle_seconds",
        "_open",
        "_silent_since",
        "_unread_answers",
        "_wire",
    )

    def __init__(
        self,
        server: web.Server,
        loop: asyncio.AbstractEventLoop,
        connections: "set[_Connection]",
        idle_seconds: float,
        **options: Any,
    ) -> None:
        super().__init__(server, loop=loop, keepalive_timeout=idle_seconds, **options)
        self._idle_seconds = idle_seconds
        # The library's own limit counts from an answer: until the first request there is none.
        self._silent_since: float | None = None
        self._clock = loop.time
        self._open = connections
        # The library lets go of its transport where it closes it by force, which waits for who never reads.
        self._wire: asyncio.Transport | None = None
        self._arriving_since: float | None = None
        self._being_answered = False
        # The body of the request that is being answered.
        self._body: StreamReader = EMPTY_PAYLOAD
        # The client has sent all it will send; it may still read.
        self._ended = False
        self._unread_answers = UnreadAnswers()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted, or handed over."""
        self._wire = cast(asyncio.Transport, transport)
        self._silent_since = self._clock()
        self._open.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Gone."""
        self._wire = None
        self._open.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes; while a request is being answered they are its body's, which has a limit of its own, or pipelined."""
        self._silent_since = None
        if data and self._arriving_since is None and not self._being_answered:
            self._arriving_since = self._clock()
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override] # The library's own returns None: close at once.
        """The client sends no more: close, after the answers that it waits for. Return whether it waits for one.

        A body that is cut off is an error of its request from now on, not something to wait for.
        """
        self._ended = True
        if not self._messages and not self._being_answered:
            return False
        body = self._messages[-1][1] if self._messages else self._body
        if not body.is_eof():
            body.set_exception(web.RequestPayloadError("the client sends no more"))
            body.feed_eof()
        return True

    def answering(self, body: StreamReader) -> None:
        """The head of a request is whole, or hopeless: from here on it is up to us."""
        self._arriving_since = None
        self._being_answered = True
        self._body = body

    def resume_writing(self) -> None:
        """The client has read a good deal of what it was sent."""
        self._unread_answers.taken()
        super().resume_writing()

    def sweep(self, now: float) -> None:
        """Hang up on silence before the first request, on a head that does not end, on answers that are not taken."""
        if self._wire is None:
            return
        unread = self._unread_answers.stuck(self._wire.get_write_buffer_size(), now)
        silent = self._silent_since is not None and self._silent_since < now - self._idle_seconds
        dripping = self._arriving_since is not None and self._arriving_since < now - REQUEST_SECONDS
        if unread or silent or dripping:
            self._wire.abort()

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
        # What is no text cannot be quoted: there the library fails to refuse an expectation. A handler's errors end
        # in the middleware, so that this is the client's doing, and no traceback's worth.
        if status == 500 and not isinstance(exc, UnicodeEncodeError):
            _log.error("an answer failed", exc_info=exc)
            problem = retry_later(Code.UNAVAILABLE)
        else:
            _log.debug("a request was not HTTP: %s", exc)
            problem = Problem(Code.BAD_REQUEST, "This is not a well-formed HTTP request.")
        response = problem.response()
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Answer; what the library refused before any middleware was asked, an expectation say, as a problem."""
        answer = problem_of_library(resp).response() if isinstance(resp, web.HTTPException) else resp
        if not answer.prepared:
            # What the library refuses by itself never meets the application's signals.
            forbid_caching(answer)
        finished = await super().finish_response(request, answer, start_time)
        self._being_answered = False
        if self._ended and not self._messages:
            self.close()
        return finished


class AiohttpDoor:
    """Every connection is aiohttp's."""

    def __init__(self, runner: web.AppRunner, idle_seconds: float = IDLE_SECONDS) -> None:
        """`runner` is set up already. A connection may ask nothing for `idle_seconds`."""
        if runner.server is None:
            raise RuntimeError("the runner is not set up")
        self.connections: set[_Connection] = set()
        self._idle_seconds = idle_seconds
        self._server = runner.server
        self._server.request_factory = _announced(self._server.request_factory)
        self._loop = asyncio.get_running_loop()

    def connection(self) -> asyncio.Protocol:
        """A protocol for a connection that was just accepted, or that another door hands over."""
        return _Connection(
            self._server,
            self._loop,
            self.connections,
            self._idle_seconds,
            lingering_time=_LINGERING_SECONDS,
            auto_decompress=False,
            # None is how the library spells "no access log".
            access_log=None,
        )

    async def stop(self) -> None:
        """The runner closes its connections itself."""


def _announced(make_request: Callable[..., web.BaseRequest]) -> Callable[..., web.BaseRequest]:
    """The library makes a request when its turn has come to be answered, and says so to nobody."""

    def announced(message: Any, payload: Any, connection: _Connection, *rest: Any) -> web.BaseRequest:
        connection.answering(payload)
        return make_request(message, payload, connection, *rest)

    return announced


class Stop(Protocol):
    """When to stop, and when not to wait for anything."""

    async def wait(self) -> None:
        """Return when it is time to stop."""
        ...

    async def impatience(self) -> None:
        """Return when what is in flight is to be left unanswered."""
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
    """Serve until `stop`; then answer what is being decided, for at most 6.5 seconds, and hang up.

    `in_front` makes the door before aiohttp's; it is given what makes a connection of aiohttp's. aiohttp closes a
    connection that asks nothing for `idle_seconds`.
    """
    loop = asyncio.get_running_loop()
    runner = web.AppRunner(app, shutdown_timeout=_DRAIN_SECONDS)
    await runner.setup()
    behind = AiohttpDoor(runner, idle_seconds)
    front = in_front(behind.connection) if in_front else behind
    try:
        admission = Admission(front, behind, app[COUNTS])
        server = await loop.create_server(admission.connection, sock=listener, backlog=_BACKLOG)
        sweeping = asyncio.create_task(keep_sweeping({behind, front}))
        on_ready()
        await stop.wait()
        server.close()
        sweeping.cancel()
    finally:
        await _drain(front, runner, stop)


async def _drain(front: Door, runner: web.AppRunner, stop: Stop) -> None:
    """Close each connection of both doors when what it waits for is answered, or when the time is up."""
    draining = asyncio.create_task(_hang_up(front, runner))
    impatience = asyncio.create_task(stop.impatience())
    try:
        # The library's own limit counts twice: once to wait for its handlers, once for them to be cancelled.
        await asyncio.wait({draining, impatience}, timeout=_DRAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if draining.done():
            draining.result()
    finally:
        draining.cancel()
        impatience.cancel()
        await asyncio.gather(draining, impatience, return_exceptions=True)


async def _hang_up(front: Door, runner: web.AppRunner) -> None:
    await asyncio.gather(front.stop(), runner.cleanup())
