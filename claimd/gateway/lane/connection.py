"""The claim lane: an express door in front of aiohttp, for the one request that a drop consists of.

It answers a request only if it is whole, plain, and `POST /v1/rounds/{id}/claims` with a pass. At the first byte of
anything else it hands the connection, with its unread bytes, to aiohttp for good, where the same route exists. So the
lane never has to decide what a request means in HTTP, only whether it understands it fully. Both doors give the same
answers (`tests/gateway/test_both_doors_alike.py`). The beginning of what may become a claim waits here for its rest, so
that a stalled client costs neither a parser nor a task.
"""

import asyncio
import time
from collections.abc import Callable
from typing import cast

from claimd.contract.limits import IDLE_SECONDS, REQUEST_SECONDS
from claimd.domain.outcomes import Decision, Outcome
from claimd.gateway.context import Context
from claimd.gateway.lane.answers import claim_answer
from claimd.gateway.lane.budget import LoopBudget
from claimd.gateway.lane.request import ClaimParser, may_become_claim
from claimd.http.connections import UnreadAnswers
from claimd.http.decision_answers import problem_of
from claimd.http.problems import Problem, unauthenticated
from claimd.http.raw_answers import problem_answer
from claimd.identity.unauthenticated import Unauthenticated
from claimd.metrics.counts import Counts

_RATE_LIMITED = Decision(Outcome.RATE_LIMITED)

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
        self.parser = ClaimParser()
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
    """One connection: parses a request, waits for its decision, writes the answer; then takes the next request."""

    __slots__ = (
        "_begun_at",
        "_closing",
        "_ended",
        "_lane",
        "_loop",
        "_part",
        "_round_id",
        "_transport",
        "_unread",
        "_unread_answers",
        "_waiting",
        "_writing_paused",
    )

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
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
        self._round_id = ""

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
        request = self._lane.parser.parse_claim(data)
        if request is not None:
            self._part = b""
            if self._lane.budget.take():
                self.submit_claim(*request)
            else:
                self._waiting = True
                self._lane.budget.defer(self, *request)
        elif may_become_claim(data):
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

    def submit_claim(self, round_id: str, pass_text: str) -> None:
        """Verify the pass and submit the claim to the engine, or answer with a problem."""
        if self._transport is None:
            # The client left while the claim was deferred.
            return
        context = self._lane.context
        self._begun_at = self._loop.time()
        verified = context.passes.verify_pass(round_id, pass_text, time.time_ns() // 1_000_000)
        if isinstance(verified, Unauthenticated):
            self._reject(unauthenticated(verified))
            return
        identity, epoch = verified
        if not context.rate_limit.admit(identity):
            self._reject(problem_of(_RATE_LIMITED))
        else:
            self._waiting = True
            self._round_id = round_id
            context.engine.submit_claim(round_id, identity, self._decided, epoch)

    def _decided(self, decision: Decision) -> None:
        if self._transport is not None:
            self._answer(self._transport, claim_answer(self._round_id, decision, int(time.time())))

    def _reject(self, problem: Problem) -> None:
        problem.count(self._lane.counts)
        if self._transport is not None:
            self._answer(self._transport, problem_answer(problem, int(time.time())))

    def _answer(self, transport: asyncio.Transport, answer: bytes) -> None:
        self._waiting = False
        transport.write(answer)
        if self._closing:
            transport.close()
        elif self._unread:
            # In the next iteration, when a connection that broke meanwhile is known to be lost.
            self._loop.call_soon(self._hand_over, self._unread)

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
