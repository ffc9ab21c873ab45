"""A modest open-loop load over a few keep-alive connections: requests are due at an even rate, whatever is answered."""

import select
from collections import deque
from collections.abc import Sequence
from time import perf_counter

from loadtest.client.connection import Connection, LoadError
from loadtest.client.connections import Connections, Patience


class OpenLoop:
    """Sends requests to 127.0.0.1; `latencies` are seconds since each was due, `statuses` all that were answered."""

    def __init__(self, port: int, connections: int) -> None:
        """Open all connections to the port. Raises LoadError."""
        self._connections = Connections(port, connections, self._on_answer, self._on_lost)
        self._waiting: deque[float] = deque()
        self._due: dict[int, float] = {}
        self._requests: Sequence[bytes] = ()
        self._next = 0
        self.latencies: list[float] = []
        self.statuses: set[bytes] = set()
        # First in, first out, so that the server finds none idle for long and closes none.
        self._free = deque(self._connections)

    def run(self, requests: Sequence[bytes], per_second: float) -> None:
        """Send all requests, `per_second` of them a second, and take every answer. Raises LoadError."""
        self._requests, self._next, arrived = requests, 0, 0
        start, patience, by_fd = perf_counter(), Patience(), self._connections.by_fd
        while len(self.latencies) < len(requests):
            now = perf_counter()
            while arrived < len(requests) and start + arrived / per_second <= now:
                self._waiting.append(start + arrived / per_second)
                arrived += 1
            while self._waiting and self._free:
                self._send(self._free.popleft(), self._waiting.popleft())
            due = start + arrived / per_second if arrived < len(requests) else now + 1.0
            # Not epoll, which counts in milliseconds.
            ready, _, _ = select.select(by_fd, (), (), max(0.0, due - perf_counter()))
            if ready or not self._due:
                patience.renew()
            else:
                patience.check(len(self._due))
            for fd in ready:
                by_fd[fd].read()

    def close(self) -> None:
        """Close all connections, answered or not."""
        self._connections.close()

    def _send(self, connection: Connection, due: float) -> None:
        self._due[connection.fd] = due
        connection.row = self._next
        self._next += 1
        if not connection.send(self._requests[connection.row]):
            self._on_lost(connection)

    def _on_answer(self, connection: Connection, status: bytes, body: bytes, closing: bool) -> None:  # noqa: ARG002
        self.latencies.append(perf_counter() - self._due.pop(connection.fd))
        self.statuses.add(status)
        connection.row = -1
        if closing:
            self._on_lost(connection)
        self._free.append(connection)

    def _on_lost(self, connection: Connection) -> None:  # noqa: ARG002 - the callback of a connection
        raise LoadError(f"a connection was closed by the other side after {len(self.latencies)} answers")
