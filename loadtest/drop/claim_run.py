"""The claims of one drop as they are sent: in the schedule's order, each with a pass that was minted beforehand.

Requests that are due and wait are no queue but the stretch between a cursor and the clock.
"""

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from time import monotonic
from typing import Final

import gevent.event

from claimd.identity.passes import PASS_CHARACTERS
from loadtest.client.answers import Answer
from loadtest.client.connection import Connection
from loadtest.client.requests import Requests
from loadtest.crowd.lateness import BlindSpell
from loadtest.crowd.records import Records
from loadtest.drop.judge import Judge

DROPPED: Final = "connection dropped with a request under way"
_NEVER: Final = float("inf")


class ClaimRun:
    """The requests of one drop, and how far they are. Times are seconds after the opening. See `dispatcher.Run`."""

    __slots__ = (
        "_build",
        "_cursor",
        "_due",
        "_judge",
        "_kinds",
        "_pass_starts",
        "_passes",
        "_persons",
        "_ready",
        "_rows",
        "all_sent",
        "blind",
        "free_since",
        "next_due",
        "origin",
        "records",
    )

    def __init__(
        self,
        records: Records,
        passes: bytes,
        pass_starts: "array[int]",
        judge: Judge,
        requests: Requests,
        origin: float,
        ready: Sequence[bytes] = (),
    ) -> None:
        """`pass_starts[row]` is where the pass of row `row` of the schedule begins in `passes`.

        `ready` are the requests of the first rows; the others are built when they are sent.
        `origin` is the monotonic time of the opening.
        """
        self.records = records
        self.origin = origin
        self.free_since = monotonic() - origin
        self.all_sent = gevent.event.Event()
        self.blind: list[BlindSpell] = []
        self._passes, self._pass_starts = passes, pass_starts
        self._judge = judge.judge
        self._build = requests.claim
        self._ready = ready
        self._kinds = records.schedule.kinds.tobytes()
        self._persons = array("i", records.schedule.persons.tobytes())
        self._rows = len(records.schedule)
        # The end marker saves a comparison for every request.
        self._due = array("d", records.schedule.offsets.tobytes())
        self._due.append(_NEVER)
        self._cursor = 0
        self.next_due = self._due[0]

    @property
    def sent(self) -> int:
        """How many requests were sent."""
        return self._cursor

    @property
    def answered(self) -> int:
        """How many of them were answered, or lost their connection."""
        return len(self.records.completed)

    @property
    def waiting(self) -> int:
        """How many requests are due and wait for a free connection."""
        return bisect_right(self._due, monotonic() - self.origin, self._cursor, self._rows) - self._cursor

    @property
    def settled(self) -> bool:
        """Whether every request that was sent has its answer."""
        return self.answered >= self._cursor

    def admit(self, now: float) -> None:
        """Called once a tick: set `all_sent` after the last request."""
        del now
        if self._cursor == self._rows:
            self.all_sent.set()

    def send(self, connection: Connection) -> bool:
        """Send the next request; False where the connection was lost by that."""
        row = self._cursor
        self._cursor = row + 1
        self.next_due = self._due[row + 1]
        connection.row = row
        records = self.records
        if row < len(self._ready):
            request = self._ready[row]
        else:
            start = self._pass_starts[row]
            request = self._build(self._persons[row], self._passes[start : start + PASS_CHARACTERS])
        records.free_since[row] = self.free_since
        records.sent[row] = monotonic() - self.origin
        return connection.send(request)

    def take(self, connection: Connection, status: bytes, body: bytes, now: float) -> None:
        """Judge an answer and note it."""
        row = connection.row
        answer, serial, claimed_at_ms, error = self._judge(self._kinds[row], status, body)
        self.records.note(row, now, answer, serial, claimed_at_ms)
        if error is not None:
            self.records.errors[error] += 1

    def lose(self, row: int, now: float) -> None:
        """Note a request whose connection was lost: its outcome is unknown, an error and never a refusal."""
        self.records.note(row, now, Answer.DROPPED, 0, 0)
        self.records.errors[DROPPED] += 1
