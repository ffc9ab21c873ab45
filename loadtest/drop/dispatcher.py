"""Sends the crowd's requests when they are due, on whatever connection is free: the open loop itself.

Requests leave in the schedule's order, so "what is due and waits" is no queue but the stretch between a cursor and the
clock. A connection that comes free takes the next due request at once; otherwise it lines up, and the next tick hands
out what has come due. First in, first out: every connection gets its turn, so that the workers behind one port are
loaded alike and no connection idles until the server closes it.

All connections are read once a tick, from an epoll of the dispatcher's own, instead of each waking the event loop when
its answer comes: at 20,000 answers a second, waking up for each costs as much as the answers do. A tick is a
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


class Dispatcher:
    """The connections of one generator, and, once `load` was called, the requests they carry."""

    def __init__(self) -> None:
        self.blind: list[BlindSpell] = []
        self._idle: deque[Connection] = deque()
        self._free_since = 0.0
        self._due = array("d", [_NEVER])
        self._rows = 0
        self._cursor = 0
        self._origin = 0.0
        self._should_wake = 0.0
        self._all_sent = gevent.event.Event()
        self._connections: dict[int, Connection] = {}
        # gevent hides epoll from those who would block in it; this one never waits.
        self._epoll = gevent.monkey.get_original("select", "epoll")()
        # The event loop's own timer: a greenlet that sleeps and wakes costs twice as much, a thousand times a second.
        self._ticking = gevent.get_hub().loop.timer(TICK_SECONDS, TICK_SECONDS)

    def load(
        self, records: Records, passes: bytes, pass_starts: "array[int]", judge: Judge, head: bytes, origin: float
    ) -> None:
        """What to send from now on: `records.schedule`, with the pass at `pass_starts[row]` of `passes` for each row.

        `head` is the request up to the pass; `origin` is the monotonic time of the opening.
        """
        self._records, self._note, self._judge = records, records.note, judge.judge
        self._sent_at, self._had_been_free_since = records.sent, records.free_since
        self._kinds = records.schedule.kinds.tobytes()
        self._passes, self._pass_starts, self._head = passes, pass_starts, head
        self._rows = len(records.schedule)
        self._cursor = 0
        self._origin = origin
        self._free_since = monotonic() - origin
        self._should_wake = self._free_since + TICK_SECONDS
        self._all_sent.clear()
        self.blind = []
        # The end marker saves a comparison for every request.
        self._due = array("d", records.schedule.offsets.tobytes())
        self._due.append(_NEVER)

    @property
    def open_connections(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    @property
    def sent(self) -> int:
        """How many requests have left."""
        return self._cursor

    @property
    def answered(self) -> int:
        """How many of them have their answer, or lost their connection."""
        return len(self._records.completed)

    @property
    def waiting(self) -> int:
        """How many are due and wait for a free connection."""
        now = monotonic() - self._origin
        low, due = self._cursor, self._due
        high = self._rows
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if due[middle] <= now else (low, middle)
        return low - self._cursor

    def adopt(self, connection: Connection) -> None:
        """A new connection, ready to carry requests."""
        self._connections[connection.fd] = connection
        self._epoll.register(connection.fd, _READABLE)
        if not self._ticking.active:
            self._should_wake = monotonic() - self._origin + TICK_SECONDS
            self._ticking.start(self._tick)
        self._take_next(connection, monotonic() - self._origin)

    def release(self, connection: Connection) -> None:
        """A connection whose user has stopped; what it carried is never answered."""
        connection.close()
        self._forget(connection)

    def run(self) -> None:
        """Wait until the last request has left."""
        self._all_sent.wait()

    def _tick(self) -> None:
        now = monotonic() - self._origin
        if now - self._should_wake > LATE_SECONDS:
            self.blind.append(BlindSpell(self._should_wake, now))
        # From the beginning of this tick: while it works through a heap of answers, the last of them lie unread.
        self._should_wake = now + TICK_SECONDS
        connections = self._connections
        for fd, _ in self._epoll.poll(0, len(connections) + 1):
            connections[fd].read()
        now = monotonic() - self._origin
        idle, due = self._idle, self._due
        while idle and due[self._cursor] <= now:
            connection = idle.popleft()
            if not connection.lost:
                self._send_next(connection)
        if self._cursor == self._rows:
            self._all_sent.set()

    def _take_next(self, connection: Connection, now: float) -> None:
        if self._due[self._cursor] <= now:
            if not self._idle:
                self._free_since = now
            self._send_next(connection)
        else:
            if not self._idle:
                self._free_since = now
            self._idle.append(connection)

    def _send_next(self, connection: Connection) -> None:
        row = self._cursor
        self._cursor = row + 1
        start = self._pass_starts[row]
        connection.row = row
        self._had_been_free_since[row] = self._free_since
        self._sent_at[row] = monotonic() - self._origin
        if not connection.send(self._head + self._passes[start : start + PASS_CHARACTERS] + CLAIM_END):
            self.on_lost(connection)

    def on_answer(self, connection: Connection, status: bytes, body: bytes, closing: bool) -> None:
        """An answer has come: judge it, note it, and give the connection its next request."""
        now = monotonic() - self._origin
        row = connection.row
        connection.row = -1
        told, serial, claimed_at_ms, error = self._judge(self._kinds[row], status, body)
        self._note(row, now, told, serial, claimed_at_ms)
        if error is not None:
            self._records.errors[error] += 1
        if closing:
            connection.close()
            self.on_lost(connection)
        else:
            self._take_next(connection, now)

    def on_lost(self, connection: Connection) -> None:
        """A connection is gone. With a request under way its outcome is unknown, which is an error, never a refusal."""
        self._forget(connection)
        if connection.row >= 0:
            self._note(connection.row, monotonic() - self._origin, Answer.DROPPED, 0, 0)
            self._records.errors["connection dropped with a request under way"] += 1
            connection.row = -1

    def _forget(self, connection: Connection) -> None:
        # Closing its socket has taken it out of the epoll.
        self._connections.pop(connection.fd, None)
        if not self._connections:
            self._ticking.stop()
