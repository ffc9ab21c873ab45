"""The claim lane: an express door for the one request a drop is made of, in front of aiohttp on the same connection.

It answers in place only what is whole, plain and `POST /v1/rounds/{id}/claims` with a pass. At the first byte of
anything else it hands the connection, bytes and all, to aiohttp for good, where the same claim route exists: so the
lane never has to say what HTTP means, only to be sure that it understood. Both doors answer alike; a test says so.
The beginning of what may be such a request waits here for its rest: who stalls costs no parser and no task.
"""

import asyncio
import re
import time
from collections.abc import Callable
from functools import partial
from typing import cast

import httptools

from claimd.domain.outcomes import Decision, Outcome
from claimd.domain.rounds import is_round_id
from claimd.gateway.context import Context
from claimd.http.problems import CONTENT_TYPE as PROBLEM_TYPE
from claimd.http.problems import Problem, refused
from claimd.http.replies import granted, refusal
from claimd.http.timeouts import IDLE_SECONDS, REQUEST_SECONDS, UnreadAnswers
from claimd.http.wire import answer
from claimd.metrics.counts import Counts

_START = b"POST /v1/rounds/"
_REST = b"/claims"
_VERSION = b"/claims HTTP/1.1\r\n"
_HEAD_END = b"\r\n\r\n"
_MAX_HEAD_BYTES = 4096
# Whole lines and at most one part of a line, none of them empty or folded, nothing but text: of anything else aiohttp
# may have a complaint already.
_HEAD_SO_FAR = re.compile(rb"(?:[!-~][\t -~\x80-\xff]*\r\n)*(?:[!-~][\t -~\x80-\xff]*)?\r?")

# Where one request of a client differs from the next. Of these characters none means anything to HTTP.
_CREDENTIALS = re.compile(rb"\r\nAuthorization: Pass ([A-Za-z0-9_-]{64})\r\n")
_MAX_SHAPES = 256

# A request is plain when no header is there twice, those that decide something have just this value or are not there
# at all (which headers aiohttp takes twice, and how many, is its own business), and a Host is named.
_PLAIN_VALUES = {b"content-length": b"0", b"connection": b"keep-alive"}
_NEVER_PLAIN = frozenset(
    (
        b"content-encoding",
        b"expect",
        b"proxy-connection",
        b"sec-websocket-key1",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_MAX_PLAIN_HEADERS = 64

_UNAUTHENTICATED = refused(401, "unauthenticated").problem
_RATE_LIMITED = Decision(Outcome.RATE_LIMITED)

Factory = Callable[[], asyncio.Protocol]


class Lane:
    """The lane of one process: makes its connections and closes them. `handed_to` makes a connection of aiohttp's."""

    def __init__(self, context: Context, counts: Counts, handed_to: Factory) -> None:
        self.context = context
        self.counts = counts
        self.handed_to = handed_to
        self.connections: set[LaneConnection] = set()
        # Heads without their pass that the parser found plain, and the round each is for: parsing once is enough.
        self.shapes: dict[bytes, str] = {}
        self._all_closed = asyncio.Event()

    def connection(self) -> "LaneConnection":
        """A protocol for a connection that was just accepted."""
        return LaneConnection(self)

    async def stop(self) -> None:
        """Close each connection: now, or after the answer it is waiting for. Return when all are closed."""
        for connection in list(self.connections):
            connection.close()
        while self.connections:
            self._all_closed.clear()
            await self._all_closed.wait()

    def forget(self, connection: "LaneConnection") -> None:
        """A connection is closed, or is aiohttp's now."""
        self.connections.discard(connection)
        if not self.connections:
            self._all_closed.set()


class LaneConnection(asyncio.Protocol):
    """One connection: reads a request, waits for its decision, answers; then the next."""

    __slots__ = (
        "_authorization",
        "_begun_at",
        "_closing",
        "_lane",
        "_loop",
        "_parser",
        "_part",
        "_plain",
        "_round_id",
        "_seen",
        "_transport",
        "_unread",
        "_unread_answers",
        "_waiting",
        "_writing_paused",
    )

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._part = b""
        self._unread = b""
        self._unread_answers = UnreadAnswers()
        self._waiting = False
        self._closing = False
        self._writing_paused = False
        # When the last request began to arrive; before the first, when the connection was made.
        self._begun_at = self._loop.time()
        self._round_id = ""
        self._authorization = b""
        self._seen: set[bytes] = set()
        self._plain = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted."""
        # uvloop's transports are none of asyncio's by descent.
        self._transport = cast(asyncio.Transport, transport)
        self._lane.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - a protocol's shape
        """Gone. A claim that is being decided is decided all the same: asking again will tell."""
        self._transport = None
        self._lane.forget(self)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request, of a part of one, or of several."""
        if self._waiting:
            # Whoever pipelines is served by aiohttp, after this answer.
            self._unread += data
            if self._transport is not None:
                self._transport.pause_reading()
            return
        if self._part:
            data = self._part + data
        if self._understands(data):
            self._part = b""
            self._ask()
        elif _may_become_a_claim(data):
            self._await_the_rest(data)
        else:
            self._hand_over(data)

    def pause_writing(self) -> None:
        """The client does not read: take nothing more from it."""
        self._writing_paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        self._writing_paused = False
        self._unread_answers.taken()
        if self._transport is not None and not self._unread:
            self._transport.resume_reading()

    def on_url(self, url: bytes) -> None:
        """For the parser."""
        self._round_id = url[len(_START) - len(b"POST ") : -len(_REST)].decode("ascii", "replace")

    def on_header(self, name: bytes, value: bytes) -> None:
        """For the parser: keeps the credentials, and notes what makes a request less than plain."""
        name, seen = name.lower(), self._seen
        if name in seen or name in _NEVER_PLAIN or (name in _PLAIN_VALUES and value.lower() != _PLAIN_VALUES[name]):
            self._plain = False
        elif name == b"authorization":
            self._authorization = value
        seen.add(name)

    def sweep(self, now: float) -> None:
        """Hang up on a request that does not end, on answers that nobody takes, and where nothing is asked any more."""
        transport = self._transport
        if transport is None or self._waiting:
            return
        patience_seconds = REQUEST_SECONDS if self._part else IDLE_SECONDS
        unread = self._unread_answers.stuck(transport.get_write_buffer_size(), now)
        if unread or self._begun_at < now - patience_seconds:
            transport.abort()

    def close(self) -> None:
        """Close, after the answer that is being waited for."""
        self._closing = True
        if not self._waiting and self._transport is not None:
            self._transport.close()

    def _understands(self, data: bytes) -> bool:
        """Whether this is one whole, plain request to claim with a pass."""
        match = _CREDENTIALS.search(data)
        if match is None:
            return self._parses(data)
        start, end = match.span(1)
        shape, credentials = data[:start] + data[end:], b"Pass " + data[start:end]
        round_id = self._lane.shapes.get(shape)
        if round_id is not None:
            self._round_id, self._authorization = round_id, credentials
            return True
        plain = self._parses(data)
        if plain and self._authorization == credentials:
            if len(self._lane.shapes) >= _MAX_SHAPES:
                self._lane.shapes.clear()
            self._lane.shapes[shape] = self._round_id
        return plain

    def _parses(self, data: bytes) -> bool:
        if (
            not data.startswith(_START)
            or data.find(_HEAD_END) != len(data) - len(_HEAD_END)
            or len(data) > _MAX_HEAD_BYTES
            or data.find(_VERSION, 0, data.find(b"\r\n") + 2) < 0
        ):
            return False
        self._plain = True
        self._authorization = b""
        self._seen.clear()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return False
        return (
            self._plain
            and b"host" in self._seen
            and len(self._seen) <= _MAX_PLAIN_HEADERS
            and self._authorization[:5].lower() == b"pass "
            and is_round_id(self._round_id)
        )

    def _ask(self) -> None:
        context, round_id = self._lane.context, self._round_id
        self._begun_at = self._loop.time()
        text = self._authorization[5:].strip(b" \t").decode("latin-1")
        identity = context.passes.verify(round_id, text, time.time_ns() // 1_000_000)
        if identity is None:
            self._refuse(_UNAUTHENTICATED)
        elif not context.rate_limit.admit(identity):
            self._refuse(refusal(_RATE_LIMITED))
        else:
            self._waiting = True
            context.engine.submit(round_id, identity, partial(self._decided, round_id))

    def _decided(self, round_id: str, decision: Decision) -> None:
        self._waiting = False
        grant = granted(round_id, decision)
        if grant is None:
            self._tell(refusal(decision))
        elif self._transport is not None:
            status, body = grant
            self._transport.write(answer(status, "application/json", body, int(time.time()), {}))
        if self._closing and self._transport is not None:
            self._transport.close()
        elif self._unread:
            # With the next turn, when a connection that broke meanwhile is known to be lost.
            self._loop.call_soon(self._hand_over, self._unread)

    def _refuse(self, problem: Problem) -> None:
        self._lane.counts.refusals[problem.code] += 1
        self._tell(problem)

    def _tell(self, problem: Problem) -> None:
        if self._transport is not None:
            body = problem.body()
            self._transport.write(answer(problem.status, PROBLEM_TYPE, body, int(time.time()), problem.headers))

    def _await_the_rest(self, part: bytes) -> None:
        if not self._part:
            self._begun_at = self._loop.time()
        self._part = part

    def _hand_over(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._lane.forget(self)
        self._transport = None
        door = self._lane.handed_to()
        transport.set_protocol(door)
        door.connection_made(transport)
        if self._writing_paused:
            door.pause_writing()
        transport.resume_reading()
        door.data_received(data)


def _may_become_a_claim(data: bytes) -> bool:
    """Whether this may be the beginning of a request that the lane answers."""
    return (
        len(data) <= _MAX_HEAD_BYTES
        and data[: len(_START)] == _START[: len(data)]
        and _HEAD_SO_FAR.fullmatch(data) is not None
    )
