"""The claim lane: an express door for the one request a drop is made of, in front of aiohttp on the same connection.

It answers in place only what is whole, plain and `POST /v1/rounds/{id}/claims` with a pass. At the first byte of
anything else it hands the connection, bytes and all, to aiohttp for good, where the same claim route exists: so the
lane never has to say what HTTP means, only to be sure that it understood. Both doors answer alike; a test says so.
The beginning of what may be such a request waits here for its rest: who stalls costs no parser and no task.
"""

import asyncio
import time
from collections.abc import Callable
from typing import cast

from claimd.contract.limits import IDLE_SECONDS, REQUEST_SECONDS
from claimd.domain.outcomes import Decision, Outcome
from claimd.gateway.context import Context
from claimd.gateway.lane.answers import claim_answer
from claimd.gateway.lane.budget import Turns
from claimd.gateway.lane.request import ClaimRequests, may_become_one
from claimd.http.connections import UnreadAnswers
from claimd.http.problems import Problem, unauthenticated
from claimd.http.raw_answers import problem_answer
from claimd.http.replies import problem_of
from claimd.identity.unauthenticated import Unauthenticated
from claimd.metrics.counts import Counts

_RATE_LIMITED = Decision(Outcome.RATE_LIMITED)

Factory = Callable[[], asyncio.Protocol]


class Lane:
    """The lane of one process: makes its connections and closes them. `handed_to` makes a connection of aiohttp's."""

    def __init__(
        self, context: Context, counts: Counts, handed_to: Factory, *, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self.context = context
        self.counts = counts
        self.handed_to = handed_to
        self.idle_seconds = idle_seconds
        self.connections: set[LaneConnection] = set()
        self.requests = ClaimRequests()
        self.turns = Turns(asyncio.get_running_loop().call_soon)
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
        # The client has sent all it will send; it may still read.
        self._ended = False
        self._writing_paused = False
        # When the last request began to arrive; before the first, when the connection was made.
        self._begun_at = self._loop.time()
        self._round_id = ""

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
        request = self._lane.requests.read(data)
        if request is not None:
            self._part = b""
            if self._lane.turns.take():
                self.ask(*request)
            else:
                self._waiting = True
                self._lane.turns.wait(self, *request)
        elif may_become_one(data):
            self._await_the_rest(data)
        else:
            self._hand_over(data)

    def eof_received(self) -> bool:
        """The client sends no more: close, after the answers that it waits for. Return whether it waits for one."""
        self._ended = True
        if not self._unread:
            self._closing = True
        return self._waiting

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

    def sweep(self, now: float) -> None:
        """Hang up on a request that does not end, on answers that nobody takes, and where nothing is asked any more."""
        transport = self._transport
        if transport is None or self._waiting:
            return
        patience_seconds = REQUEST_SECONDS if self._part else self._lane.idle_seconds
        unread = self._unread_answers.stuck(transport.get_write_buffer_size(), now)
        if unread or self._begun_at < now - patience_seconds:
            transport.abort()

    def close(self) -> None:
        """Close, after the answer that is being waited for."""
        self._closing = True
        if not self._waiting and self._transport is not None:
            self._transport.close()

    def ask(self, round_id: str, shown: str) -> None:
        """Have a claim decided, now that its turn has come."""
        if self._transport is None:
            # Nobody waits any more, and nothing was asked yet.
            return
        context = self._lane.context
        self._begun_at = self._loop.time()
        verified = context.passes.verify_pass(round_id, shown, time.time_ns() // 1_000_000)
        if isinstance(verified, Unauthenticated):
            self._refuse(unauthenticated(verified))
            return
        identity, epoch = verified
        if not context.rate_limit.admit(identity):
            self._refuse(problem_of(_RATE_LIMITED))
        else:
            self._waiting = True
            self._round_id = round_id
            context.engine.submit(round_id, identity, self._decided, epoch)

    def _decided(self, decision: Decision) -> None:
        if self._transport is not None:
            self._answer(self._transport, claim_answer(self._round_id, decision, int(time.time())))

    def _refuse(self, problem: Problem) -> None:
        problem.count(self._lane.counts)
        if self._transport is not None:
            self._answer(self._transport, problem_answer(problem, int(time.time())))

    def _answer(self, transport: asyncio.Transport, answer: bytes) -> None:
        self._waiting = False
        transport.write(answer)
        if self._closing:
            transport.close()
        elif self._unread:
            # With the next turn, when a connection that broke meanwhile is known to be lost.
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
        door = self._lane.handed_to()
        transport.set_protocol(door)
        door.connection_made(transport)
        if self._writing_paused:
            door.pause_writing()
        transport.resume_reading()
        door.data_received(data)
        if self._ended and not door.eof_received():
            transport.close()
