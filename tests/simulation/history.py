"""What happened in one run, in order: written down by whoever saw it, judged by `oracle.py` once all is over.

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
    {Outcome.NOT_OPEN, Outcome.PAUSED, Outcome.SOLD_OUT, Outcome.CLOSED, Outcome.ROUND_NOT_FOUND},
)
UNKNOWN = frozenset({Outcome.OVERLOADED, Outcome.UNAVAILABLE})


# When, what, and the details: the first of them is the number or the round that it is about.
_Event = tuple[float, str, tuple[Any, ...]]


class Moment(NamedTuple):
    """When something happened; `lag_seconds` is how late the loop's timers had been until then, all together."""

    position: int
    seconds: float
    lag_seconds: float


class Telling(NamedTuple):
    """Somebody was told a decision."""

    at: Moment
    decision: Decision


@dataclass(slots=True)
class Submission:
    """One claim, from the door of a gateway to what was told: once, if all is well."""

    number: int
    gateway: int
    round_id: str
    identity: bytes
    at: Moment
    told: list[Telling] = field(default_factory=list)
    let_in: bool = False

    @property
    def outcome(self) -> Outcome:
        """What was told, of a submission that was told something."""
        return self.told[0].decision.outcome


@dataclass(slots=True)
class Call:
    """One call to the store. `batch` is the task that made it: those of one batch are its attempts, in order.

    `decided` has the decisions each time that the server decided it: none if it never arrived, two if it came twice.
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
    """Everything that was seen, and how often each thing worth counting was met."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self._batches: dict[Any, int] = {}
        self._events: list[_Event] = []
        self._tellings = 0
        self.submissions: list[Submission] = []
        self.calls: list[Call] = []
        self.attempts: list[list[Call]] = []
        self.errors: list[BaseException] = []
        self.deepest_queue = 0
        self.met: Counter[str] = Counter()

    def note(self, kind: str, *details: Any) -> None:
        """Write one event down."""
        self._events.append((self._loop.time(), kind, details))

    def now(self) -> Moment:
        """This moment."""
        return Moment(len(self._events), self._loop.time(), self._loop.lag_seconds)

    def asks(self, gateway: int, round_id: str, identity: bytes) -> Submission:
        """A claim comes to the door."""
        submission = Submission(len(self.submissions), gateway, round_id, identity, self.now())
        self.submissions.append(submission)
        self.note("asks", submission.number, gateway, round_id, person(identity))
        return submission

    def tells(self, submission: Submission, decision: Decision) -> None:
        """It is told what became of it."""
        submission.told.append(Telling(self.now(), decision))
        self._tellings += 1
        self.note("is told", submission.number, decision.outcome.value, decision.serial)

    def calls_store(self, gateway: int, round_id: str, task: Any, identities: Sequence[bytes], in_flight: int) -> Call:
        """A batch asks the store. A task is a batch: whoever asks again does so from the same one."""
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

    def decides(self, call: Call, decisions: list[Decision]) -> None:
        """The server has decided a call."""
        call.decided.append((self.now(), decisions))
        outcomes = Counter(decision.outcome.value for decision in decisions)
        self.note("decides", call.number, ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items()))

    def error(self, error: BaseException | None) -> None:
        """Something raised where nobody was there to catch it."""
        if error is not None:
            self.errors.append(error)

    def undecided(self) -> int:
        """Claims that nobody has been told about."""
        return len(self.submissions) - self._tellings

    def digest(self) -> str:
        """The same for two runs exactly if the same happened at the same times in the same order."""
        return hashlib.blake2b(repr(self._events).encode(), digest_size=16).hexdigest()

    def trace(self, last: int) -> str:
        """The last events, one a line, for people."""
        left_out = max(0, len(self._events) - last)
        lines = [f"  … {left_out} events before"] if left_out else []
        return "\n".join([*lines, *map(_line, self._events[left_out:])])

    def trace_of(self, number: int) -> str:
        """The events of one submission, of the calls that asked for its person, and of the operator, one a line."""
        submission = self.submissions[number]
        calls = {
            call.number
            for call in self.calls
            if call.round_id == submission.round_id and submission.identity in call.identities
        }
        of_round, of_submission = {submission.round_id}, {number}
        wanted: dict[str, set[Any]] = {
            **dict.fromkeys(("creates", "edits"), of_round),
            **dict.fromkeys(("asks", "is told"), of_submission),
            **dict.fromkeys(("calls", "fate", "decides", "fails", "answers"), calls),
        }
        return "\n".join(_line(event) for event in self._events if event[2][0] in wanted.get(event[1], ()))


def _line(event: _Event) -> str:
    seconds, kind, details = event
    return f"{seconds:11.6f}  {kind:10} {'  '.join(map(str, details))}"


def person(identity: bytes) -> str:
    """An identity as the trace has it."""
    return f"person {int.from_bytes(identity, 'big')}"
