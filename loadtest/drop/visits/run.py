"""The visits of one evening as they are sent: each request when it is due, or as soon as its person can send it.

Latency counts from when a request was due, also where it had to wait for an earlier answer of the same person: a server
that stalls cannot slow the people down and look good. As docs/api.md asks of clients, a request that was answered 503
or 429, or lost its connection, is sent again after `Retry-After` and a random part of it; the answer stays an error.
"""

import heapq
import random
from array import array
from collections import deque
from time import monotonic
from typing import Final, TypeVar

import gevent.event
import numpy as np

from loadtest.client.answers import Answer, Finding
from loadtest.client.connection import Connection, head_field
from loadtest.client.requests import Requests
from loadtest.client.visit_answers import RoundRead, VisitReader
from loadtest.crowd.lateness import BlindSpell
from loadtest.crowd.schedule import Kind
from loadtest.drop.claim_run import DROPPED
from loadtest.drop.judge import Judge
from loadtest.drop.visits.people import NEEDS, Holds, People
from loadtest.drop.visits.records import VisitRecords

# A person gives up so long after a request was due: it is sent no more, which is an error.
PATIENCE_SECONDS: Final = 30.0
_DEFAULT_RETRY_SECONDS: Final = 0.5
_NEVER: Final = float("inf")
_DUE: Final = float("-inf")
_READ: Final = Finding(Answer.READ)
_PASS_ISSUED: Final = Finding(Answer.PASS_ISSUED)
_RETRIED: Final = frozenset({b"503", b"429"})
_DECIDED: Final = frozenset({Answer.GRANTED, Answer.REPLAYED, Answer.SOLD_OUT})


class VisitRun:
    """The requests of one evening, and how far they are. Times are seconds after the opening. See `dispatcher.Run`."""

    def __init__(
        self,
        records: VisitRecords,
        people: People,
        judge: Judge,
        reader: VisitReader,
        requests: Requests,
        origin: float,
        seed: int,
    ) -> None:
        """`origin` is the monotonic time of the opening; `seed` decides the random part of retries."""
        self.records, self.people = records, people
        self.origin = origin
        self.free_since = monotonic() - origin
        self.next_due = _NEVER
        self.all_sent = gevent.event.Event()
        self.blind: list[BlindSpell] = []
        self.retries = 0
        self._judge, self._reader, self._requests = judge.judge, reader, requests
        self._random = random.Random(seed)
        self._slots = array("i", (np.frombuffer(records.person, np.int32) // people.step).tobytes())
        # The end marker saves a comparison for every request.
        self._due = records.due[: records.scheduled]
        self._due.append(_NEVER)
        self._cursor = 0
        self._sent = 0
        self._ready: deque[int] = deque()
        self._later: list[tuple[float, int]] = []
        # Rows that had to wait for their person: since when they can be sent.
        self._freed_at: dict[int, float] = {}
        # Of rows that are retries: when the first request was due.
        self._first_due: dict[int, float] = {}
        # By the kind of a request.
        self._build_kind = _by_kind(
            self._ask_for_claim,
            {
                Kind.ROUND: self._ask_for_round,
                Kind.PASS: self._ask_for_pass,
                Kind.LOOK: self._ask_again,
                Kind.MINE: self._look_up,
            },
        )
        self._take_kind = _by_kind(
            self._take_claim,
            {
                Kind.ROUND: self._take_round,
                Kind.PASS: self._take_pass,
                Kind.LOOK: self._take_round,
                Kind.MINE: self._take_look_up,
            },
        )

    @property
    def sent(self) -> int:
        """How many requests were sent."""
        return self._sent

    @property
    def waiting(self) -> int:
        """How many requests are due and wait for a free connection."""
        return len(self._ready)

    @property
    def settled(self) -> bool:
        """Whether every request that was sent has its answer, and no retry is to come."""
        return len(self.records.completed) >= self._sent and not self._ready and not self._later

    def admit(self, now: float) -> None:
        """Line up what has become due; what its person cannot send yet waits for the person."""
        cursor, due, slots, ready = self._cursor, self._due, self._slots, self._ready
        if due[cursor] <= now:
            kinds, holds = self.records.kind, self.people.holds
            while due[cursor] <= now:
                slot = slots[cursor]
                if NEEDS[kinds[cursor]] & ~holds[slot]:
                    self.people.waiting.setdefault(slot, []).append(cursor)
                else:
                    ready.append(cursor)
                cursor += 1
            self._cursor = cursor
        # In the order in which they became ready, which is nearly that of their due times.
        dues, give_up = self.records.due, now - PATIENCE_SECONDS
        while ready and dues[ready[0]] < give_up:
            ready.popleft()
        later = self._later
        while later and later[0][0] <= now:
            ready.append(heapq.heappop(later)[1])
        self.next_due = _DUE if ready else _NEVER
        if not ready and cursor == self.records.scheduled and self.settled:
            self.all_sent.set()

    def send(self, connection: Connection) -> bool:
        """Send the next request; False where the connection was lost by that."""
        row = self._ready.popleft()
        if not self._ready:
            self.next_due = _NEVER
        connection.row = row
        self._sent += 1
        records = self.records
        request = self._build_kind[records.kind[row]](row, self._slots[row])
        free_since = self.free_since
        if self._freed_at:
            free_since = max(free_since, self._freed_at.pop(row, free_since))
        records.free_since[row] = free_since
        records.sent[row] = monotonic() - self.origin
        return connection.send(request)

    def _ask_for_round(self, row: int, slot: int) -> bytes:  # noqa: ARG002 - one signature for all kinds
        return self._requests.read_round(self.records.person[row])

    def _ask_again(self, row: int, slot: int) -> bytes:
        return self._requests.read_round(self.records.person[row], self.people.round_of(slot)[0])

    def _ask_for_pass(self, row: int, slot: int) -> bytes:
        return self._requests.issue_pass(self.records.person[row], self.people.tokens.of(slot))

    def _ask_for_claim(self, row: int, slot: int) -> bytes:
        return self._requests.claim(self.records.person[row], self.people.pass_of(slot))

    def _look_up(self, row: int, slot: int) -> bytes:
        return self._requests.show_claim(self.records.person[row], self.people.pass_of(slot))

    def take(self, connection: Connection, status: bytes, body: bytes, now: float) -> None:
        """Read an answer, note it, and let follow what follows from it."""
        row = connection.row
        kind = self.records.kind[row]
        answer, serial, claimed_at_ms, error = self._take_kind[kind](row, status, body, now, connection.head)
        self.records.note(row, now, answer, serial, claimed_at_ms)
        if error is not None:
            self.records.errors[f"{_NAMES[kind]}: {error}"] += 1
            if status in _RETRIED:
                self._retry(row, now, float(head_field(connection.head, b"retry-after") or _DEFAULT_RETRY_SECONDS))

    def lose(self, row: int, now: float) -> None:
        """Note a request whose connection was lost, an error with an unknown outcome, and send it again."""
        self.records.note(row, now, Answer.DROPPED, 0, 0)
        self.records.errors[f"{_NAMES[self.records.kind[row]]}: {DROPPED}"] += 1
        self._retry(row, now, _DEFAULT_RETRY_SECONDS)

    def _take_claim(self, row: int, status: bytes, body: bytes, now: float, head: bytes) -> Finding:  # noqa: ARG002
        kind = self.records.kind[row]
        finding = self._judge(kind, status, body)
        if kind == Kind.CLAIM and finding.answer in _DECIDED:
            self._advance(row, Holds.ANSWER, now)
        return finding

    def _take_look_up(self, row: int, status: bytes, body: bytes, now: float, head: bytes) -> Finding:  # noqa: ARG002
        return self._reader.read_look_up(status, body)

    def _take_pass(self, row: int, status: bytes, body: bytes, now: float, head: bytes) -> Finding:  # noqa: ARG002
        read = self._reader.read_pass(status, body)
        if isinstance(read, Finding):
            return read
        self.people.keep_pass(self._slots[row], read.text)
        self.records.note_pass(self.records.person[row], read.text, read.expires_at_ms)
        self._advance(row, Holds.PASS, now)
        return _PASS_ISSUED

    def _take_round(self, row: int, status: bytes, body: bytes, now: float, head: bytes) -> Finding:
        read = self._reader.read_round(status, body)
        records, slot = self.records, self._slots[row]
        if isinstance(read, RoundRead):
            etag = head_field(head, b"etag")
            if etag:
                self.people.remember_round(slot, etag, read)
            records.note_reading(records.person[row], records.sent[row], now, read)
            self._advance(row, Holds.ROUND, now)
            return _READ
        if read.answer is Answer.UNCHANGED:
            _, before = self.people.round_of(slot)
            if before is None or records.kind[row] == Kind.ROUND:
                return Finding(Answer.WRONG, error="304 to a request without a condition")
            records.note_reading(records.person[row], records.sent[row], now, before._replace(server_ms=0))
        return read

    def _advance(self, row: int, gained: int, now: float) -> None:
        """The person of `row` holds something more: requests that waited for that can be sent."""
        slot = self._slots[row]
        holds = self.people.holds
        holds[slot] |= gained
        waiting = self.people.waiting
        if slot not in waiting:
            return
        kinds = self.records.kind
        stay = []
        for held in waiting.pop(slot):
            if NEEDS[kinds[held]] & ~holds[slot]:
                stay.append(held)
                continue
            if kinds[held] == Kind.EARLY and now > -_BEFORE_OPENING_SECONDS:
                # By now it is no early tap any more.
                kinds[held] = Kind.AGAIN
            self._freed_at[held] = now
            self._ready.append(held)
            self.next_due = _DUE
        if stay:
            waiting[slot] = stay

    def _retry(self, row: int, now: float, seconds: float) -> None:
        """Send the request of `row` again, if the person still wants to; an early claim has a regular one after it."""
        if self.records.kind[row] == Kind.EARLY:
            return
        first_due = self._first_due.get(row, self.records.due[row])
        due = now + seconds * self._random.uniform(1.0, 1.5)
        if due - first_due > PATIENCE_SECONDS:
            return
        again = self.records.add(due, self.records.person[row], self.records.kind[row])
        if again is None:
            return
        self.retries += 1
        self._slots[again] = self._slots[row]
        self._first_due[again] = first_due
        heapq.heappush(self._later, (due, again))


Way = TypeVar("Way")


def _by_kind(of_claims: Way, others: dict[Kind, Way]) -> tuple[Way, ...]:
    """A way to handle requests for each kind, by its value."""
    return tuple(others.get(kind, of_claims) for kind in sorted(Kind))


_BEFORE_OPENING_SECONDS: Final = 0.2
_NAMES: Final[dict[int, str]] = {
    Kind.CLAIM: "claim",
    Kind.AGAIN: "second claim",
    Kind.EARLY: "early claim",
    Kind.BAD: "claim with a bad pass",
    Kind.ROUND: "round",
    Kind.PASS: "pass",
    Kind.LOOK: "round again",
    Kind.MINE: "claims/me",
}
