"""An open-loop load over thousands of keep-alive connections: each claim is sent when it is due, whatever is answered.

A connection carries one request at a time, so as many must be open as claims may wait. A request that is due while none
is free is sent late, and its row is marked. With everything due at once, it is a closed loop over the connections.
"""

import gc
from array import array
from collections import deque
from time import monotonic, process_time
from typing import Final

import numpy as np
import numpy.typing as npt

from claimd.identity.passes import PASS_CHARACTERS
from loadtest.client.answers import Answer, Reader
from loadtest.client.connection import Connection, LoadError
from loadtest.client.connections import Connections, Patience
from loadtest.client.heads import Heads
from loadtest.client.requests import Requests

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Requests that are due wait for as long as a core takes to read so many answers.
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


class _Load:
    """The rows of one load as they fill. `sent` requests were sent so far, `taken` of them answered or lost."""

    def __init__(self, due: Floats, passes: bytes, origin: float) -> None:
        rows = len(due)
        self.origin = origin
        self.passes = passes
        self.due = array("d", due.tobytes())
        self.sent_at, self.answered_at = array("d", bytes(8 * rows)), array("d", bytes(8 * rows))
        self.answer, self.serials = array("q", bytes(8 * rows)), array("q", bytes(8 * rows))
        self.claimed_at_ms = array("q", bytes(8 * rows))
        self.starved = bytearray(rows)
        self.sent = self.taken = 0
        self.starving = False
        """Whether a request that is due found no connection free."""

    def rows(self) -> LoadRows:
        """The rows of what was sent, as columns."""
        rows = self.sent
        due, sent, answered = (
            np.frombuffer(each, np.float64)[:rows].copy() for each in (self.due, self.sent_at, self.answered_at)
        )
        answer, serials, claimed_at_ms = (
            np.frombuffer(each, np.int64)[:rows].copy() for each in (self.answer, self.serials, self.claimed_at_ms)
        )
        starved = np.frombuffer(self.starved, np.uint8)[:rows].astype(np.int64)
        return LoadRows(due, sent, answered, answer, serials, claimed_at_ms, starved)


class Flood:
    """The connections to 127.0.0.1, kept over several loads of one round."""

    def __init__(self, port: int, connections: int, round_id: str, heads: Heads | None = None) -> None:
        """Connect `connections` times, for claims of one round, each by another person. Raises LoadError."""
        self._requests = Requests(round_id, f"127.0.0.1:{port}", heads)
        self._people = 0
        self._read = Reader(round_id).read
        self._connections = Connections(port, connections, self._on_answer, self._on_lost)
        self._free = deque(self._connections)
        self._load = _Load(np.empty(0), b"", 0.0)

    def run(self, due: Floats, passes: bytes, seconds: float, connections: int | None = None) -> LoadRows:
        """Send a claim at each moment in `due` and take every answer; the rows of what was sent. Raises LoadError.

        `due` ascends, in seconds from now; `passes` are packed, in that order. After `seconds` nothing more is sent. At
        most `connections` are used, all by default.
        """
        resting: list[Connection] = []
        while connections is not None and len(self._free) > connections:
            resting.append(self._free.pop())
        # A collection walks all connections, and nothing here leaves garbage.
        gc.collect()
        gc.disable()
        try:
            began, used = monotonic(), process_time()
            self._load = _Load(due, passes, began)
            self._carry_out(self._load, seconds)
            cpu_fraction = (process_time() - used) / (monotonic() - began)
        finally:
            gc.enable()
            self._free.extend(resting)
        rows = self._load.rows()
        rows.began_at, rows.cpu_fraction = began, cpu_fraction
        return rows

    def close(self) -> None:
        """Close all connections, answered or not."""
        self._connections.close()

    def _carry_out(self, load: _Load, seconds: float) -> None:
        rows, taken, patience = len(load.due), 0, Patience()
        while True:
            now = monotonic()
            if now - load.origin >= seconds:
                rows = load.sent
            self._send_due(load, rows, now - load.origin)
            if load.sent >= rows and load.taken == load.sent:
                return
            self._connections.read_ready(_TICK_SECONDS, _READ_AT_ONCE)
            if not self._connections:
                raise LoadError("every connection was lost")
            if load.taken != taken or load.taken == load.sent:
                taken = load.taken
                patience.renew()
            else:
                patience.check(load.sent - taken)

    def _send_due(self, load: _Load, rows: int, now: float) -> None:
        free, due = self._free, load.due
        while load.sent < rows and due[load.sent] <= now:
            if not free:
                load.starving = True
                return
            connection = free.popleft()
            # The server closes a connection that idles for long.
            if not connection.lost:
                self._send_next(load, connection)
        load.starving = False

    def _send_next(self, load: _Load, connection: Connection) -> None:
        row = load.sent
        load.sent = row + 1
        start = row * PASS_CHARACTERS
        connection.row = row
        load.starved[row] = load.starving
        load.sent_at[row] = monotonic() - load.origin
        person = self._people
        self._people = person + 1
        if not connection.send(self._requests.claim(person, load.passes[start : start + PASS_CHARACTERS])):
            self._on_lost(connection)

    def _on_answer(self, connection: Connection, status: bytes, body: bytes, closing: bool) -> None:
        load, row = self._load, connection.row
        connection.row = -1
        load.answered_at[row] = monotonic() - load.origin
        load.taken += 1
        load.answer[row], load.serials[row], load.claimed_at_ms[row], _ = self._read(status, body)
        if closing:
            connection.close()
            self._connections.forget(connection)
        else:
            self._free.append(connection)

    def _on_lost(self, connection: Connection) -> None:
        self._connections.forget(connection)
        load = self._load
        if connection.row >= 0:
            load.answered_at[connection.row] = monotonic() - load.origin
            load.answer[connection.row] = Answer.DROPPED
            load.taken += 1
            connection.row = -1
