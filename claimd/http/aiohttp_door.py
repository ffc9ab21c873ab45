"""The aiohttp door: aiohttp's connections, with bounds on a client's time and with problems in place of text errors.

It relies on these internals of aiohttp, which are no public hooks. `tests/http/test_aiohttp_internals.py` has a test
for each, so that an upgrade which changes one is noticed there first:

- `RequestHandler._messages`: the parsed requests that wait, as pairs of head and body;
- `RequestHandler.handle_error` and `finish_response`: called for every error outside of a handler and for every answer;
- `RequestHandler.eof_received`, whose return value keeps a half-closed connection open;
- `Server.request_factory`: called with head, body and connection when the turn of a request has come;
- `Request.writer.output_size`: how much of an answer was written.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from claimd.contract import details
from claimd.contract.limits import IDLE_SECONDS, REQUEST_SECONDS
from claimd.contract.problems import Code
from claimd.http.caching import forbid_caching
from claimd.http.connections import UnreadAnswers
from claimd.http.cors import CORS, Cors, add_cors
from claimd.http.languages import request_language
from claimd.http.middleware import problem_of_library
from claimd.http.problems import Problem, retry_later

# How long to read on, after an answer, what a client still sends of its body; then the connection is closed.
_LINGERING_SECONDS: Final = 1.0

_log = logging.getLogger(__name__)


class AiohttpConnection(web.RequestHandler):
    """aiohttp's connection, with a limit on each part of a client's time, and with errors as problems.

    A request that is not HTTP is logged without a traceback: it is the client's error.
    """

    __slots__ = (
        "_arriving_since",
        "_being_answered",
        "_body",
        "_clock",
        "_cors",
        "_ended",
        "_idle_seconds",
        "_notify_closed",
        "_open",
        "_silent_since",
        "_unread_answers",
        "_wire",
    )

    def __init__(
        self,
        server: web.Server,
        loop: asyncio.AbstractEventLoop,
        connections: "set[AiohttpConnection]",
        idle_seconds: float,
        cors: Cors,
        **options: Any,
    ) -> None:
        super().__init__(server, loop=loop, keepalive_timeout=idle_seconds, **options)
        self._idle_seconds = idle_seconds
        self._cors = cors
        # aiohttp's own limit counts from an answer: before the first request there is none.
        self._silent_since: float | None = None
        self._clock = loop.time
        self._open = connections
        # aiohttp drops its transport when it closes it, but the close waits for a client that never reads.
        self._wire: asyncio.Transport | None = None
        self._arriving_since: float | None = None
        self._being_answered = False
        # The body of the request that is being answered.
        self._body: StreamReader = EMPTY_PAYLOAD
        # The client has closed its sending side; it may still read.
        self._ended = False
        self._unread_answers = UnreadAnswers()
        self._notify_closed: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop for an accepted connection, and by the lane for one that it hands over."""
        self._wire = cast(asyncio.Transport, transport)
        self._silent_since = self._clock()
        self._open.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Called by the loop when the connection is closed."""
        self._wire = None
        self._open.discard(self)
        if self._notify_closed is not None:
            self._notify_closed()
        super().connection_lost(exc)

    def begin_stream(self, notify_closed: Callable[[], None]) -> None:
        """Note that the present answer has no end of its own; call `notify_closed` when the connection is closed.

        The connection is closed, too, when the client closes its sending side: it is no use to wait for the end.
        """
        self._notify_closed = notify_closed

    def data_received(self, data: bytes) -> None:
        """Called by the loop with bytes. While a request is answered they belong to its body, or are pipelined."""
        self._silent_since = None
        if data and self._arriving_since is None and not self._being_answered:
            self._arriving_since = self._clock()
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override] # aiohttp's returns None: close at once.
        """Called by the loop when the client has closed its sending side. Return True to stay open for answers.

        A body that is incomplete becomes an error of its request.
        """
        self._ended = True
        if self._notify_closed is not None:
            return False
        if not self._messages and not self._being_answered:
            return False
        body = self._messages[-1][1] if self._messages else self._body
        if not body.is_eof():
            body.set_exception(web.RequestPayloadError("the client sends no more"))
            body.feed_eof()
        return True

    def answering(self, body: StreamReader) -> None:
        """Called when the head of a request is complete, or is known to be wrong: the client's time stops."""
        self._arriving_since = None
        self._being_answered = True
        self._body = body

    def resume_writing(self) -> None:
        """Called by the transport when the client has read a good deal of its answers."""
        self._unread_answers.taken()
        super().resume_writing()

    def sweep(self, now: float) -> None:
        """Abort if no first request comes, a head stays incomplete, or answers stay unread; `now` is loop time."""
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
        message: str | None = None,  # noqa: ARG002 - aiohttp's message is for its own logs
    ) -> web.StreamResponse:
        """Answer an error outside of any handler with a problem, and close the connection."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun: the connection can only be closed")
        # aiohttp cannot encode its own error about an `Expect` that is no text. It is the client's error, as those of
        # handlers end in the middleware, so it is logged without a traceback.
        if status == 500 and not isinstance(exc, UnicodeEncodeError):
            _log.error("an answer failed", exc_info=exc)
            problem = retry_later(Code.UNAVAILABLE)
        else:
            _log.debug("a request was not HTTP: %s", exc)
            problem = Problem(Code.BAD_REQUEST, details.NOT_HTTP())
        response = problem.response(request_language(request))
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; one that aiohttp made before any middleware ran, such as 417, becomes a problem."""
        answer = resp
        if isinstance(resp, web.HTTPException):
            answer = problem_of_library(resp).response(request_language(request))
        if not answer.prepared:
            # An answer that aiohttp makes by itself does not pass the application's signals.
            forbid_caching(answer)
            add_cors(self._cors, request, answer)
        finished = await super().finish_response(request, answer, start_time)
        self._being_answered = False
        if self._ended and not self._messages:
            self.close()
        return finished


class AiohttpDoor:
    """Makes connections of aiohttp's, for an application on its own or behind the lane."""

    def __init__(self, runner: web.AppRunner, idle_seconds: float = IDLE_SECONDS) -> None:
        """`runner` is set up. A connection may stay without a request for `idle_seconds`."""
        if runner.server is None:
            raise RuntimeError("the runner is not set up")
        self.connections: set[AiohttpConnection] = set()
        self._idle_seconds = idle_seconds
        self._cors = runner.app.get(CORS, Cors())
        self._server = runner.server
        self._server.request_factory = _announced(self._server.request_factory)
        self._loop = asyncio.get_running_loop()

    def connection(self) -> asyncio.Protocol:
        """A protocol for a connection that was just accepted, or that the lane hands over."""
        return AiohttpConnection(
            self._server,
            self._loop,
            self.connections,
            self._idle_seconds,
            self._cors,
            lingering_time=_LINGERING_SECONDS,
            auto_decompress=False,
            # None means no access log.
            access_log=None,
        )

    async def stop(self) -> None:
        """Return at once: the runner closes its connections itself."""


def _announced(make_request: Callable[..., web.BaseRequest]) -> Callable[..., web.BaseRequest]:
    """Wrap the factory, which aiohttp calls when it begins to answer a request, to notify the connection."""

    def announced(message: Any, payload: Any, connection: AiohttpConnection, *rest: Any) -> web.BaseRequest:
        connection.answering(payload)
        return make_request(message, payload, connection, *rest)

    return announced
