"""The lane: an express door in front of aiohttp, for the few requests that a visit consists of.

It answers a request only if it is whole, plain, and of a kind in `request.py`. At the first byte of anything else it
hands the connection, with its unread bytes, to aiohttp for good, where the same routes exist. So the lane never has to
decide what a request means in HTTP, only whether it understands it fully. Both doors give the same answers
(`tests/gateway/test_both_doors_alike.py`). The beginning of what may become such a request waits here for its rest, so
that a stalled client costs neither a parser nor a task.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import cast

from claimd.contract.limits import IDLE_SECONDS, REQUEST_SECONDS
from claimd.gateway.context import Context
from claimd.gateway.lane import claims, passes, preflights, rounds
from claimd.gateway.lane.budget import LoopBudget
from claimd.gateway.lane.exchange import Handler
from claimd.gateway.lane.request import Kind, RequestParser, Target, may_become_request
from claimd.gateway.lane.shapes import Head
from claimd.http.connections import UnreadAnswers
from claimd.http.languages import preferred_language
from claimd.http.problems import Problem
from claimd.http.raw_answers import date_line, problem_answer, without_body
from claimd.metrics.counts import Counts

_HANDLERS_OF_KINDS: Mapping[Kind, Handler] = {
    Kind.CLAIM: claims.claim,
    Kind.PASS: passes.issue_pass,
    Kind.MY_CLAIM: claims.find_my_claim,
    Kind.ROUND: rounds.show_round,
    Kind.ROUND_HEAD: rounds.show_round,
    Kind.PREFLIGHT: preflights.answer_preflight,
}
_HANDLERS = tuple(_HANDLERS_OF_KINDS[kind] for kind in Kind)
_HEAD_END = b"\r\n"

Factory = Callable[[], asyncio.Protocol]


class Lane:
    """The lane of one process: makes its connections and closes them.

    `make_aiohttp_connection` makes the protocol that takes over a connection.
    """

    def __init__(
        self, context: Context, counts: Counts, make_aiohttp_connection: Factory, *, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self.context = context
        self.counts = counts
        self.make_aiohttp_connection = make_aiohttp_connection
        self.idle_seconds = idle_seconds
        self.connections: set[LaneConnection] = set()
        self.parser = RequestParser()
        self.budget = LoopBudget(asyncio.get_running_loop().call_soon)
        self._all_closed = asyncio.Event()

    def connection(self) -> "LaneConnection":
        """A protocol for a connection that was just accepted."""
        return LaneConnection(self)

    async def stop(self) -> None:
        """Close each connection, after the answer it waits for if there is one. Return when all are closed."""
        for connection in list(self.connections):
            connection.close()
        while self.connections:
            self._all_closed.clear()
            await self._all_closed.wait()

    def forget(self, connection: "LaneConnection") -> None:
        """Drop a connection that is closed or was handed over."""
        self.connections.discard(connection)
        if not self.connections:
            self._all_closed.set()


class LaneConnection(asyncio.Protocol):
    """One connection: parses a request, has it served, writes the answer; then takes the next request.

    Implements `Exchange` for the request whose answer is due.
    """

    __slots__ = (
        "_begun_at",
        "_closing",
        "_ended",
        "_lane",
        "_loop",
        "_part",
        "_transport",
        "_unread",
        "_unread_answers",
        "_waiting",
        "_writing_paused",
        "head",
        "target",
    )

    target: Target
    head: Head

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        # A part of a request, or a whole one that is not being served yet.
        self._part = b""
        self._unread = b""
        self._unread_answers = UnreadAnswers()
        self._waiting = False
        self._closing = False
        # The client has closed its sending side; it may still read.
        self._ended = False
        self._writing_paused = False
        # When the last request began to arrive; before the first, when the connection was made.
        self._begun_at = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop for an accepted connection."""
        # uvloop's transports do not inherit from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._lane.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - a protocol's shape
        """Called by the loop at the end. A submitted claim is still decided, and a retry replays it."""
        self._transport = None
        self._lane.forget(self)

    def data_received(self, data: bytes) -> None:
        """Called by the loop with the bytes of a request, of a part of one, or of several."""
        if self._waiting:
            # A client that pipelines is served by aiohttp, after this answer.
            self._unread += data
            if self._transport is not None:
                self._transport.pause_reading()
            return
        if self._part:
            data = self._part + data
        request = self._lane.parser.parse(data)
        if request is not None:
            self.target, self.head = request
            self._waiting, self._part = True, data
            lane, work = self._lane, self.target.work
            if lane.budget.take(work):
                self.serve()
            else:
                lane.budget.defer(self, work)
        elif may_become_request(data):
            self._await_the_rest(data)
        else:
            self._hand_over(data)

    def eof_received(self) -> bool:
        """Called by the loop when the client has closed its sending side. Return True to stay open for the answer."""
        self._ended = True
        if not self._unread:
            self._closing = True
        return self._waiting

    def pause_writing(self) -> None:
        """Called by the transport when its write buffer is full: read nothing more until the client has read."""
        self._writing_paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Called by the transport when the client has read a good deal of its answers."""
        self._writing_paused = False
        self._unread_answers.taken()
        if self._transport is not None and not self._unread:
            self._transport.resume_reading()

    def sweep(self, now: float) -> None:
        """Abort if a request stays incomplete, answers stay unread, or no request comes; `now` is loop time."""
        transport = self._transport
        if transport is None or self._waiting:
            return
        patience_seconds = REQUEST_SECONDS if self._part else self._lane.idle_seconds
        unread = self._unread_answers.stuck(transport.get_write_buffer_size(), now)
        if unread or self._begun_at < now - patience_seconds:
            transport.abort()

    def close(self) -> None:
        """Close the connection, after the answer that it waits for."""
        self._closing = True
        if not self._waiting and self._transport is not None:
            self._transport.close()

    def serve(self) -> None:
        """Have the request served by the handler of its kind, unless the client has left while it was deferred."""
        if self._transport is not None:
            self._begun_at = self._loop.time()
            _HANDLERS[self.target.kind](self._lane.context, self)
        self._part = b""

    def answer(self, before_date: bytes, *body: bytes) -> None:
        """See `Exchange.answer`."""
        lines = self._lane.context.cors.lines[self.head.origin]
        # One join: a method call and concatenations would take a fifth more.
        self.send(b"".join((before_date, date_line(int(time.time())), lines.answer, _HEAD_END, *body)))

    def refuse(self, problem: Problem) -> None:
        """See `Exchange.refuse`."""
        lines = self._lane.context.cors.lines[self.head.origin]
        language = preferred_language(self.head.accept_language)
        answer = problem_answer(problem, int(time.time()), language, lines.problem)
        self.send(without_body(answer) if self.target.kind is Kind.ROUND_HEAD else answer)

    def reject(self, problem: Problem) -> None:
        """See `Exchange.reject`."""
        problem.count(self._lane.counts)
        self.refuse(problem)

    def send(self, answer: bytes) -> None:
        """See `Exchange.send`."""
        transport = self._transport
        if transport is None:
            return
        self._waiting = False
        transport.write(answer)
        if self._closing:
            transport.close()
        elif self._unread:
            # In the next iteration, when a connection that broke meanwhile is known to be lost.
            self._loop.call_soon(self._hand_over, self._unread)

    def leave_to_aiohttp(self) -> None:
        """See `Exchange.leave_to_aiohttp`."""
        self._waiting = False
        self._hand_over(self._part + self._unread)

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
        successor = self._lane.make_aiohttp_connection()
        transport.set_protocol(successor)
        successor.connection_made(transport)
        if self._writing_paused:
            successor.pause_writing()
        transport.resume_reading()
        successor.data_received(data)
        if self._ended and not successor.eof_received():
            transport.close()
