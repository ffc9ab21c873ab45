"""Sends the crowd's requests when they are due, on whatever connection is free: the open loop itself.

Requests are sent in the schedule's order, so those that are due and wait are no queue but the stretch between a cursor
and the clock. A connection that becomes free takes the next due request at once; otherwise it lines up, and the next
tick hands out what has become due. First in, first out: every connection is used in turn, so that the workers behind
one port are loaded alike and no connection idles until the server closes it.

All connections are read once a tick, from an epoll of the dispatcher's own, instead of each waking the event loop when
its answer arrives: at 20,000 answers a second, waking up for each costs as much as the answers do. A tick is a
millisecond, which is what latencies may be too long by, never too short.
"""

from array import array
from collections import deque
from time import monotonic
from typing import Final

import gevent
import gevent.event
import gevent.monkey

from claimd.identity.passes import PASS_CHARACTERS
from loadtest.client.answers import Answer
from loadtest.client.connection import Connection
from loadtest.client.requests import CLAIM_END
from loadtest.crowd.lateness import LATE_SECONDS, BlindSpell
from loadtest.crowd.records import Records
from loadtest.drop.judge import Judge

TICK_SECONDS: Final = 0.001
_NEVER: Final = float("inf")
_READABLE: Final = 1  # EPOLLIN


class Run:
    """The requests of one drop, and how far they are. Times are seconds after the opening."""

    __slots__ = (
        "all_sent",
        "blind",
        "cursor",
        "due",
        "free_since",
        "head",
        "judge",
        "kinds",
        "origin",
        "pass_starts",
        "passes",
        "records",
        "rows",
    )

    def __init__(
        self, records: Records, passes: bytes, pass_starts: "array[int]", judge: Judge, head: bytes, origin: float
    ) -> None:
        """`pass_starts[row]` is where the pass of row `row` of the schedule begins in `passes`.

        `head` is the request up to the pass; `origin` is the monotonic time of the opening.
        """
        self.records = records
        self.passes = passes
        self.pass_starts = pass_starts
        self.judge = judge.judge
        self.head = head
        self.origin = origin
        self.kinds = records.schedule.kinds.tobytes()
        self.rows = len(records.schedule)
        # The end marker saves a comparison for every request.
        self.due = array("d", records.schedule.offsets.tobytes())
        self.due.append(_NEVER)
        self.cursor = 0
        self.free_since = monotonic() - origin
        """Since when a connection has been free without a break."""
        self.all_sent = gevent.event.Event()
        self.blind: list[BlindSpell] = []

    @property
    def sent(self) -> int:
        """How many requests were sent."""
        return self.cursor

    @property
    def answered(self) -> int:
        """How many of them were answered, or lost their connection."""
        return len(self.records.completed)

    @property
    def waiting(self) -> int:
        """How many requests are due and wait for a free connection."""
        now = monotonic() - self.origin
        low, high, due = self.cursor, self.rows, self.due
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if due[middle] <= now else (low, middle)
        return low - self.cursor


class Dispatcher:
    """The connections of one generator. They idle until `load` gives them requests; they outlive the drop."""

    def __init__(self) -> None:
        self._run: Run | None = None
        self._idle: deque[Connection] = deque()
        # Monotonic time.
        self._should_wake = 0.0
        self._connections: dict[int, Connection] = {}
        # gevent hides epoll because it blocks; this one is only polled.
        self._epoll = gevent.monkey.get_original("select", "epoll")()
        # The event loop's own timer: a greenlet that sleeps and wakes costs twice as much, a thousand times a second.
        self._ticking = gevent.get_hub().loop.timer(TICK_SECONDS, TICK_SECONDS)

    def load(self, run: Run) -> None:
        """Send the requests of `run` from now on."""
        self._should_wake = monotonic() + TICK_SECONDS
        self._run = run

    @property
    def open_connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    def adopt(self, connection: Connection) -> None:
        """Take over a new connection."""
        self._connections[connection.fd] = connection
        self._epoll.register(connection.fd, _READABLE)
        if not self._ticking.active:
            self._should_wake = monotonic() + TICK_SECONDS
            self._ticking.start(self._tick)
        if self._run is None:
            self._idle.append(connection)
        else:
            self._take_next(self._run, connection, monotonic() - self._run.origin)

    def release(self, connection: Connection) -> None:
        """Close a connection whose user was stopped; a request that it carried stays unanswered."""
        connection.close()
        self._forget(connection)

    def _tick(self) -> None:
        run, now = self._run, monotonic()
        if run is not None and now - self._should_wake > LATE_SECONDS:
            run.blind.append(BlindSpell(self._should_wake - run.origin, now - run.origin))
        # From the beginning of this tick: while it works through many answers, the last of them lie unread.
        self._should_wake = now + TICK_SECONDS
        connections = self._connections
        for fd, _ in self._epoll.poll(0, len(connections) + 1):
            connections[fd].read()
        if run is None:
            return
        now = monotonic() - run.origin
        idle, due = self._idle, run.due
        while idle and due[run.cursor] <= now:
            connection = idle.popleft()
            if not connection.lost:
                self._send_next(run, connection)
        if run.cursor == run.rows:
            run.all_sent.set()

    def _take_next(self, run: Run, connection: Connection, now: float) -> None:
        if not self._idle:
            run.free_since = now
        if run.due[run.cursor] <= now:
            self._send_next(run, connection)
        else:
            self._idle.append(connection)

    def _send_next(self, run: Run, connection: Connection) -> None:
        row = run.cursor
        run.cursor = row + 1
        start = run.pass_starts[row]
        connection.row = row
        records = run.records
        records.free_since[row] = run.free_since
        records.sent[row] = monotonic() - run.origin
        if not connection.send(run.head + run.passes[start : start + PASS_CHARACTERS] + CLAIM_END):
            self.on_lost(connection)

    def on_answer(self, connection: Connection, status: bytes, body: bytes, closing: bool) -> None:
        """Judge an answer, note it, and give the connection its next request."""
        run = self._run
        if run is None:
            raise RuntimeError("an answer without a request")
        now = monotonic() - run.origin
        row = connection.row
        connection.row = -1
        answer, serial, claimed_at_ms, error = run.judge(run.kinds[row], status, body)
        run.records.note(row, now, answer, serial, claimed_at_ms)
        if error is not None:
            run.records.errors[error] += 1
        if closing:
            connection.close()
            self.on_lost(connection)
        else:
            self._take_next(run, connection, now)

    def on_lost(self, connection: Connection) -> None:
        """Drop a closed connection. The outcome of a request under way is unknown: an error, never a refusal."""
        self._forget(connection)
        run = self._run
        if connection.row >= 0 and run is not None:
            run.records.note(connection.row, monotonic() - run.origin, Answer.DROPPED, 0, 0)
            run.records.errors["connection dropped with a request under way"] += 1
            connection.row = -1

    def _forget(self, connection: Connection) -> None:
        # Closing its socket has taken it out of the epoll.
        self._connections.pop(connection.fd, None)
        if not self._connections:
            self._ticking.stop()
