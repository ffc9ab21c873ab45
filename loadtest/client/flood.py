"""An open-loop load over thousands of keep-alive connections: each request leaves when it is due, whatever is answered.

A connection carries one request at a time, so as many must be open as people may wait. A request that finds none
free leaves late, and says so. With everything due at once, it is a closed loop over the connections it may use.
"""

import gc
import select
from array import array
from collections import deque
from time import monotonic, process_time
from typing import Final

import numpy as np
import numpy.typing as npt

from claimd.identity.passes import PASS_CHARACTERS
from loadtest.client.answers import Answer, Reader
from loadtest.client.connection import Connection, LoadError
from loadtest.client.requests import CLAIM_END, claim_head

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SILENCE_SECONDS: Final = 20.0
# As long as a core takes for them, requests that are due wait.
_READ_AT_ONCE: Final = 256
_TICK_SECONDS: Final = 0.001


class LoadRows:
    """One row for each request that was sent, in that order. Moments in seconds since the load began.

    `due` is when a request was meant to be sent, `answered` when its answer came or its connection was lost. `answer`
    holds values of `Answer`. `serials` and `claimed_at_ms` come with a claim, 0 without one. `starved` is 1 where the
    request, or an earlier one that was still waiting, found no connection free. `began_at` is the monotonic time of
    the load's beginning, `cpu_fraction` the share of a core that this process used.
    """

    def __init__(
        self,
        due: Floats,
        sent: Floats,
        answered: Floats,
        answer: Ints,
        serials: Ints,
        claimed_at_ms: Ints,
        starved: Ints,
    ) -> None:
        self.due = due
        self.sent = sent
        self.answered = answered
        self.answer = answer
        self.serials = serials
        self.claimed_at_ms = claimed_at_ms
        self.starved = starved
        self.began_at = 0.0
        self.cpu_fraction = 0.0

    def __len__(self) -> int:
        return len(self.sent)

    def granted_at(self) -> Floats:
        """When each grant was answered, ascending."""
        return np.sort(self.answered[self.answer == Answer.GRANTED])


class Flood:
    """The connections to 127.0.0.1, kept over several loads."""

    def __init__(self, port: int, connections: int, round_id: str) -> None:
        """Connect `connections` times, for claims of one round. Raises LoadError."""
        self._head = claim_head(round_id, f"127.0.0.1:{port}")
        self._read = Reader(round_id).read
        self._epoll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._free: deque[Connection] = deque()
        self._resting: list[Connection] = []
        try:
            for _ in range(connections):
                connection = Connection(("127.0.0.1", port), self._on_answer, self._on_lost)
                self._connections[connection.fd] = connection
                self._epoll.register(connection.fd, select.EPOLLIN)
                self._free.append(connection)
        except OSError as error:
            self.close()
            raise LoadError(f"{len(self._connections)} of {connections} connections could be made: {error}") from None

    def run(self, due: Floats, passes: bytes, seconds: float, connections: int | None = None) -> LoadRows:
        """Send a claim for each moment in `due`, which ascend, and take every answer. Raises LoadError.

        `passes` are packed, in that order. After `seconds` nothing more is sent. At most `connections` are used.
        """
        self._begin(due, passes, connections)
        # A collection walks all connections, and nothing here leaves garbage.
        gc.collect()
        gc.disable()
        try:
            began, used = monotonic(), process_time()
            self._origin = began
            self._carry(seconds)
            cpu_fraction = (process_time() - used) / (monotonic() - began)
        finally:
            gc.enable()
            self._free.extend(self._resting)
            self._resting.clear()
        answers = self._rows()
        answers.began_at, answers.cpu_fraction = began, cpu_fraction
        return answers

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            connection.close()
        self._epoll.close()

    def _begin(self, due: Floats, passes: bytes, connections: int | None) -> None:
        rows = len(due)
        self._due, self._passes = array("d", due.tobytes()), passes
        self._sent, self._answered = array("d", bytes(8 * rows)), array("d", bytes(8 * rows))
        self._answer, self._serials = array("q", bytes(8 * rows)), array("q", bytes(8 * rows))
        self._claimed_at_ms = array("q", bytes(8 * rows))
        self._starved = bytearray(rows)
        self._next = self._taken = 0
        self._starving = False
        while connections is not None and len(self._free) > connections:
            self._resting.append(self._free.pop())

    def _carry(self, seconds: float) -> None:
        rows, heard, taken = len(self._due), monotonic(), 0
        poll, connections = self._epoll.poll, self._connections
        while True:
            now = monotonic()
            if now - self._origin >= seconds:
                rows = self._next
            self._send_due(rows, now - self._origin)
            if self._next >= rows and self._taken == self._next:
                return
            for fd, _ in poll(_TICK_SECONDS, _READ_AT_ONCE):
                connections[fd].read()
            if not connections:
                raise LoadError("every connection was lost")
            if self._taken != taken or self._taken == self._next:
                heard, taken = now, self._taken
            elif now - heard > _SILENCE_SECONDS:
                raise LoadError(f"{self._next - taken} requests were not answered in {_SILENCE_SECONDS:g} s")

    def _send_due(self, rows: int, now: float) -> None:
        free, due = self._free, self._due
        while self._next < rows and due[self._next] <= now:
            if not free:
                self._starving = True
                return
            connection = free.popleft()
            # The server closes what nobody uses for long.
            if not connection.lost:
                self._send(connection)
        self._starving = False

    def _send(self, connection: Connection) -> None:
        row = self._next
        self._next = row + 1
        start = row * PASS_CHARACTERS
        connection.row = row
        self._starved[row] = self._starving
        self._sent[row] = monotonic() - self._origin
        if not connection.send(self._head + self._passes[start : start + PASS_CHARACTERS] + CLAIM_END):
            self._on_lost(connection)

    def _on_answer(self, connection: Connection, status: bytes, body: bytes, closing: bool) -> None:
        row = connection.row
        connection.row = -1
        self._answered[row] = monotonic() - self._origin
        self._taken += 1
        self._answer[row], self._serials[row], self._claimed_at_ms[row], _ = self._read(status, body)
        if closing:
            connection.close()
            self._forget(connection)
        else:
            self._free.append(connection)

    def _on_lost(self, connection: Connection) -> None:
        self._forget(connection)
        if connection.row >= 0:
            self._answered[connection.row] = monotonic() - self._origin
            self._answer[connection.row] = Answer.DROPPED
            self._taken += 1
            connection.row = -1

    def _forget(self, connection: Connection) -> None:
        # Closing its socket has taken it out of the epoll.
        self._connections.pop(connection.fd, None)

    def _rows(self) -> LoadRows:
        rows = self._next
        due, sent, answered = (
            np.frombuffer(each, np.float64)[:rows].copy() for each in (self._due, self._sent, self._answered)
        )
        answer, serials, claimed_at_ms = (
            np.frombuffer(each, np.int64)[:rows].copy() for each in (self._answer, self._serials, self._claimed_at_ms)
        )
        starved = np.frombuffer(self._starved, np.uint8)[:rows].astype(np.int64)
        return LoadRows(due, sent, answered, answer, serials, claimed_at_ms, starved)
