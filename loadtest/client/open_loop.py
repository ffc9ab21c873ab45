"""A modest open-loop load over a few keep-alive connections: requests are due at an even pace, whatever is answered."""

import select
from collections import deque
from collections.abc import Sequence
from time import perf_counter
from typing import Final

from loadtest.client.connection import Connection, LoadError

# A server that says nothing for so long is stuck, not slow.
_SILENCE_SECONDS: Final = 20.0


class OpenLoop:
    """Sends requests to 127.0.0.1; `latencies` are seconds from when each was due, `statuses` what was answered."""

    def __init__(self, port: int, connections: int) -> None:
        """Connects. Raises OSError."""
        self._waiting: deque[float] = deque()
        self._due: dict[int, float] = {}
        self._requests: Sequence[bytes] = ()
        self._next = 0
        self.latencies: list[float] = []
        self.statuses: set[bytes] = set()
        opened = [Connection(("127.0.0.1", port), self._on_answer, self._on_lost) for _ in range(connections)]
        self._connections = {connection.fd: connection for connection in opened}
        # First in, first out: a connection nobody uses is closed by the server after a while.
        self._free = deque(opened)

    def run(self, requests: Sequence[bytes], per_second: float) -> None:
        """Send all of them, and take every answer. Raises LoadError."""
        self._requests, self._next, arrived = requests, 0, 0
        start = heard = perf_counter()
        while len(self.latencies) < len(requests):
            now = perf_counter()
            while arrived < len(requests) and start + arrived / per_second <= now:
                self._waiting.append(start + arrived / per_second)
                arrived += 1
            while self._waiting and self._free:
                self._send(self._free.popleft(), self._waiting.popleft())
            due = start + arrived / per_second if arrived < len(requests) else now + 1.0
            # Not epoll, which counts in milliseconds.
            ready, _, _ = select.select(self._connections, (), (), max(0.0, due - perf_counter()))
            if ready or not self._due:
                heard = now
            elif now - heard > _SILENCE_SECONDS:
                raise LoadError(f"{len(self._due)} requests were not answered in {_SILENCE_SECONDS:g} s")
            for fd in ready:
                self._connections[fd].read()

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            connection.close()

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

    def _on_lost(self, connection: Connection) -> None:  # noqa: ARG002 - what a connection calls
        raise LoadError(f"a connection was closed by the other side after {len(self.latencies)} answers")
