"""The bench's load: some keep-alive connections, each of which asks again as soon as it has its answer.

It never saturates on its own account: what it costs is not counted, as only CPU time of the other side is compared.
"""

import select
from collections.abc import Sequence
from time import perf_counter

from loadtest.client.connection import Connection, LoadError

_WAIT_SECONDS = 1.0
# A server that says nothing for so long is stuck, not slow.
_SILENCE_SECONDS = 20.0


class ClosedLoop:
    """Sends requests of a fixed list over `connections` connections to 127.0.0.1.

    `statuses`, `bodies` and `latencies` (seconds, from sending to the whole answer) have one entry for each answer, in
    the order they came; `asked` says which request each answered.
    """

    def __init__(self, port: int, connections: int) -> None:
        """Connects. Raises LoadError."""
        self._epoll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._sent_at: dict[int, float] = {}
        self._requests: Sequence[bytes] = ()
        self._next = 0
        self._until = 0.0
        self.statuses: list[bytes] = []
        self.bodies: list[bytes] = []
        self.latencies: list[float] = []
        self.asked: list[int] = []
        try:
            for _ in range(connections):
                connection = Connection(("127.0.0.1", port), self._on_answer, self._on_lost)
                self._connections[connection.fd] = connection
                self._epoll.register(connection.fd, select.EPOLLIN)
        except OSError as error:
            self.close()
            raise LoadError(f"cannot connect to port {port}: {error}") from None

    def __len__(self) -> int:
        """Answers so far."""
        return len(self.statuses)

    def run(self, requests: Sequence[bytes], seconds: float) -> None:
        """Ask for `seconds`, or until every request was sent once, and take every answer. Raises LoadError."""
        self._requests, self._next = requests, 0
        self._until = perf_counter() + seconds
        for connection in list(self._connections.values()):
            self._ask(connection)
        heard = perf_counter()
        while self._sent_at:
            ready = self._epoll.poll(_WAIT_SECONDS)
            now = perf_counter()
            if ready:
                heard = now
            elif now - heard > _SILENCE_SECONDS:
                raise LoadError(f"{len(self._sent_at)} requests were not answered in {_SILENCE_SECONDS:g} s")
            for fd, _ in ready:
                self._connections[fd].read()

    def forget(self) -> None:
        """Forget the answers so far: they were the warm-up."""
        for answers in (self.statuses, self.bodies, self.latencies, self.asked):
            answers.clear()

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            connection.close()
        self._epoll.close()

    def _ask(self, connection: Connection) -> None:
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
        self._ask(connection)

    def _on_lost(self, connection: Connection) -> None:  # noqa: ARG002 - what a connection calls
        raise LoadError(f"a connection was closed by the other side after {len(self)} answers")
