"""Sends the crowd's requests when they are due, on whatever connection is free: the open loop itself.

The run (`Run`) decides what is sent, in which order. A connection that becomes free takes the next due request at once;
otherwise it lines up, and the next tick hands out what has become due. First in, first out: every connection is used in
turn, so that the workers behind one port are loaded alike and no connection idles until the server closes it.

All connections are read once a tick, from an epoll of the dispatcher's own, instead of each waking the event loop when
its answer arrives: at 20,000 answers a second, waking up for each costs as much as the answers do. A tick is a
millisecond, which is what latencies may be too long by, never too short.
"""

from collections import deque
from time import monotonic
from typing import Final, Protocol

import gevent
import gevent.event
import gevent.monkey

from loadtest.client.connection import Connection
from loadtest.crowd.lateness import LATE_SECONDS, BlindSpell

TICK_SECONDS: Final = 0.001
_READABLE: Final = 1  # EPOLLIN


class Run(Protocol):
    """The requests of one drop, and how far they are. Times are seconds after the opening."""

    origin: float
    """The monotonic time of the opening."""
    free_since: float
    """Since when a connection has been free without a break; the dispatcher sets it."""
    next_due: float
    """When the next request is due; infinite where none waits at the moment."""
    blind: list[BlindSpell]
    """The dispatcher appends its blind spells."""
    all_sent: gevent.event.Event
    """Set once no request is left to send."""

    @property
    def sent(self) -> int:
        """How many requests were sent."""

    @property
    def waiting(self) -> int:
        """How many requests are due and wait for a free connection."""

    @property
    def settled(self) -> bool:
        """Whether every request that was sent has its answer, and none follows from an answer."""

    def admit(self, now: float) -> None:
        """Called once a tick, before requests are sent and after answers were read."""

    def send(self, connection: Connection) -> bool:
        """Send the next request, which is due, and set the connection's row; False where that lost the connection."""

    def take(self, connection: Connection, status: bytes, body: bytes, now: float) -> None:
        """Take the answer to the connection's row."""

    def lose(self, row: int, now: float) -> None:
        """Take note that the connection of a request was lost."""


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
        run.admit(now)
        idle = self._idle
        while idle and run.next_due <= now:
            connection = idle.popleft()
            if not connection.lost and not run.send(connection):
                self.on_lost(connection)

    def _take_next(self, run: Run, connection: Connection, now: float) -> None:
        if not self._idle:
            run.free_since = now
        if run.next_due > now:
            self._idle.append(connection)
        elif not run.send(connection):
            self.on_lost(connection)

    def on_answer(self, connection: Connection, status: bytes, body: bytes, closing: bool) -> None:
        """Hand an answer to the run, and give the connection its next request."""
        run = self._run
        if run is None:
            raise RuntimeError("an answer without a request")
        now = monotonic() - run.origin
        run.take(connection, status, body, now)
        connection.row = -1
        if closing:
            connection.close()
            self.on_lost(connection)
        else:
            self._take_next(run, connection, now)

    def on_lost(self, connection: Connection) -> None:
        """Drop a closed connection; the outcome of a request under way is unknown."""
        self._forget(connection)
        run = self._run
        if connection.row >= 0 and run is not None:
            run.lose(connection.row, monotonic() - run.origin)
            connection.row = -1

    def _forget(self, connection: Connection) -> None:
        # Closing its socket has taken it out of the epoll.
        self._connections.pop(connection.fd, None)
        if not self._connections:
            self._ticking.stop()
