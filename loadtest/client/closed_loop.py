"""A closed loop: each connection sends its next request as soon as it has the answer to its last one.

The load's own processor time is not measured: its users compare the CPU time of the other side.
"""

from collections.abc import Sequence
from time import perf_counter
from typing import Final

from loadtest.client.connection import Connection, LoadError
from loadtest.client.connections import Connections, Patience

_WAIT_SECONDS: Final = 1.0


class ClosedLoop:
    """Sends requests of a fixed list over `connections` connections to 127.0.0.1.

    `statuses`, `bodies` and `latencies` (seconds, from sending to the whole answer) have one entry for each answer, in
    the order of the answers; `asked` is the index of the request that each belongs to.
    """

    def __init__(self, port: int, connections: int) -> None:
        """Open all connections to the port. Raises LoadError."""
        self._connections = Connections(port, connections, self._on_answer, self._on_lost)
        self._sent_at: dict[int, float] = {}
        self._requests: Sequence[bytes] = ()
        self._next = 0
        self._until = 0.0
        self.statuses: list[bytes] = []
        self.bodies: list[bytes] = []
        self.latencies: list[float] = []
        self.asked: list[int] = []

    def __len__(self) -> int:
        """How many answers there are so far."""
        return len(self.statuses)

    def run(self, requests: Sequence[bytes], seconds: float) -> None:
        """Send for `seconds`, or until every request was sent once; return after the last answer. Raises LoadError."""
        self._requests, self._next = requests, 0
        self._until = perf_counter() + seconds
        for connection in self._connections:
            self._send_next(connection)
        patience = Patience()
        while self._sent_at:
            if self._connections.read_ready(_WAIT_SECONDS):
                patience.renew()
            else:
                patience.check(len(self._sent_at))

    def forget(self) -> None:
        """Forget the answers so far, those of a warm-up."""
        for answers in (self.statuses, self.bodies, self.latencies, self.asked):
            answers.clear()

    def close(self) -> None:
        """Close all connections, answered or not."""
        self._connections.close()

    def _send_next(self, connection: Connection) -> None:
        row, now = self._next, perf_counter()
        if row >= len(self._requests) or now >= self._until:
            return
        self._next = row + 1
        connection.row = row
        self._sent_at[connection.fd] = now
        if not connection.send(self._requests[row]):
            self._on_lost(connection)

    def _on_answer(self, connection: Connection, status: bytes, body: bytes, closing: bool) -> None:
        self.latencies.append(perf_counter() - self._sent_at.pop(connection.fd))
        self.asked.append(connection.row)
        self.statuses.append(status)
        self.bodies.append(body)
        connection.row = -1
        if closing:
            self._on_lost(connection)
        self._send_next(connection)

    def _on_lost(self, connection: Connection) -> None:  # noqa: ARG002 - the callback of a connection
        raise LoadError(f"a connection was closed by the other side after {len(self)} answers")
