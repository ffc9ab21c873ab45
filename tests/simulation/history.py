"""The events of one run, in order: recorded by the parts of the simulation, judged by `oracle.py` after the run.

A position is a place in the order of events of the whole run, which is also its real-time order.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from claimd.domain.outcomes import Decision, Outcome
from tests.simulation.loop import SimulatedLoop

CLAIMED = frozenset({Outcome.GRANTED, Outcome.REPLAYED})
REFUSED = frozenset(
    {
        Outcome.NOT_OPEN,
        Outcome.PAUSED,
        Outcome.SOLD_OUT,
        Outcome.CLOSED,
        Outcome.ROUND_NOT_FOUND,
        Outcome.BARRED,
    },
)
UNKNOWN = frozenset({Outcome.OVERLOADED, Outcome.UNAVAILABLE})


# Seconds, kind, and details: the first detail is the number or the round that the event is about.
_Event = tuple[float, str, tuple[Any, ...]]


class Moment(NamedTuple):
    """When an event happened; `lag_seconds` is the sum of the delays of all timers until then."""

    position: int
    seconds: float
    lag_seconds: float


class Answer(NamedTuple):
    """The decision that was delivered for a submission."""

    at: Moment
    decision: Decision


@dataclass(slots=True)
class Submission:
    """One claim, from its arrival at a gateway to its answers, of which there must be exactly one."""

    number: int
    gateway: int
    round_id: str
    identity: bytes
    at: Moment
    answers: list[Answer] = field(default_factory=list)
    admitted: bool = False

    @property
    def outcome(self) -> Outcome:
        """The outcome of the first answer. Raises IndexError where there is none."""
        return self.answers[0].decision.outcome


@dataclass(slots=True)
class Call:
    """One call to the store. The calls of one `batch` are its attempts, in order.

    `decided` has one entry for each time that the server decided it: none if it never arrived, two if it came twice.
    """

    number: int
    gateway: int
    round_id: str
    batch: int
    attempt: int
    identities: Sequence[bytes]
    in_flight: int
    at: Moment
    decided: list[tuple[Moment, list[Decision]]] = field(default_factory=list)
    answered: bool = False
    error: str = ""
    ended: Moment | None = None


class History:
    """All recorded events, and the number of each fault and special case that was met."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self._batches: dict[Any, int] = {}
        self._events: list[_Event] = []
        self._answered = 0
        self.submissions: list[Submission] = []
        self.calls: list[Call] = []
        self.attempts: list[list[Call]] = []
        self.errors: list[BaseException] = []
        self.deepest_queue = 0
        self.met: Counter[str] = Counter()

    def note(self, kind: str, *details: Any) -> None:
        """Record one event."""
        self._events.append((self._loop.time(), kind, details))

    def now(self) -> Moment:
        """The present moment."""
        return Moment(len(self._events), self._loop.time(), self._loop.lag_seconds)

    def record_claim(self, gateway: int, round_id: str, identity: bytes) -> Submission:
        """Record the arrival of a claim at a gateway."""
        submission = Submission(len(self.submissions), gateway, round_id, identity, self.now())
        self.submissions.append(submission)
        self.note("claims", submission.number, gateway, round_id, person(identity))
        return submission

    def record_answer(self, submission: Submission, decision: Decision) -> None:
        """Record the answer to a submission."""
        submission.answers.append(Answer(self.now(), decision))
        self._answered += 1
        self.note("responds", submission.number, decision.outcome.value, decision.serial)

    def record_call(self, gateway: int, round_id: str, task: Any, identities: Sequence[bytes], in_flight: int) -> Call:
        """Record a call to the store. A task is a batch: its retries are made by the same task."""
        batch = self._batches.setdefault(task, len(self._batches))
        if batch == len(self.attempts):
            self.attempts.append([])
        earlier = self.attempts[batch]
        call = Call(
            len(self.calls), gateway, round_id, batch, len(earlier) + 1, tuple(identities), in_flight, self.now()
        )
        self.calls.append(call)
        earlier.append(call)
        self.note("calls", call.number, gateway, round_id, f"batch {batch}, attempt {call.attempt}", len(identities))
        return call

    def record_decisions(self, call: Call, decisions: list[Decision]) -> None:
        """Record that the server decided a call."""
        call.decided.append((self.now(), decisions))
        outcomes = Counter(decision.outcome.value for decision in decisions)
        self.note("decides", call.number, ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items()))

    def record_error(self, error: BaseException | None) -> None:
        """Record an exception that nothing caught."""
        if error is not None:
            self.errors.append(error)

    def undecided(self) -> int:
        """The number of claims without an answer."""
        return len(self.submissions) - self._answered

    def digest(self) -> str:
        """A hash of all events: equal for two runs with the same events at the same times in the same order."""
        return hashlib.blake2b(repr(self._events).encode(), digest_size=16).hexdigest()

    def trace(self, last: int) -> str:
        """The last events, one a line."""
        left_out = max(0, len(self._events) - last)
        lines = [f"  … {left_out} events before"] if left_out else []
        return "\n".join([*lines, *map(_line, self._events[left_out:])])

    def trace_of(self, number: int) -> str:
        """The events of one submission, of the calls with its identity, and of the operator, one a line."""
        submission = self.submissions[number]
        calls = {
            call.number
            for call in self.calls
            if call.round_id == submission.round_id and submission.identity in call.identities
        }
        of_round, of_submission = {submission.round_id}, {number}
        wanted: dict[str, set[Any]] = {
            **dict.fromkeys(("creates", "edits", "voids"), of_round),
            **dict.fromkeys(("claims", "responds"), of_submission),
            **dict.fromkeys(("calls", "fate", "decides", "fails", "answers"), calls),
        }
        return "\n".join(_line(event) for event in self._events if event[2][0] in wanted.get(event[1], ()))


def _line(event: _Event) -> str:
    seconds, kind, details = event
    return f"{seconds:11.6f}  {kind:10} {'  '.join(map(str, details))}"


def person(identity: bytes) -> str:
    """An identity as text for the trace."""
    return f"person {int.from_bytes(identity, 'big')}"
