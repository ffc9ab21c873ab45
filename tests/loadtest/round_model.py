"""A correct round, decided one batch after the other, and the history its clients see of it: the checker's oracle.

Requests overlap, answers are lost, gateways ask twice, operators edit, the server's clock jumps. `bug` breaks one rule.
"""

import random
from dataclasses import dataclass, field

from histories import BASE_MS, CLOCK, columns, digest

from claimd.domain.log import EditEntry, GrantsEntry
from loadtest.client.answers import Answer
from loadtest.history.checker import check
from loadtest.history.log import Log
from loadtest.history.operations import Operation, Operations

SECONDS = 10.0
TICKS = 200
BUGS = {
    "sells one more": "oversold",
    "forgets a claim": "refused_after_told",
    "grants again what it forgot": "identities_repeated",
    "loses its last claim": "told_but_not_exported",
    "grants in a pause": "granted_while_paused",
    "grants before the opening": "granted_before_opening",
    "grants after the closing": "granted_while_closed",
    "sells one less": "sold_out_too_early",
    "hands out serials by gateway": "out_of_order",
    "goes back in time": "time_goes_back",
    "refuses a replay when closed": "refused_after_told",
    "logs only whole batches": "log_disagrees",
    "tells the time of the replay": "told_another_time",
    "says paused when sold out": "paused_untruly",
    "lowers the total too far": "total_below_issued",
}


@dataclass
class Round:
    """What `lua/claim.lua` promises, in plain Python. Times are milliseconds of the server's clock."""

    total: int
    opens_at_ms: int
    closes_at_ms: int
    bug: str = ""
    paused: bool = False
    closed: bool = False
    version: int = 1
    last_ms: int = 0
    held: dict[int, tuple[int, int]] = field(default_factory=dict)
    exported: list[tuple[int, int, int]] = field(default_factory=list)
    entries: list = field(default_factory=list)

    def __post_init__(self):
        fields = {"total": self.total, "opens_at_ms": self.opens_at_ms, "closes_at_ms": self.closes_at_ms}
        self._log_edit(BASE_MS - 60_000, {name: str(value) for name, value in fields.items()})

    def edit(self, now_ms, **changes):
        """Change fields; a total below what was issued is refused."""
        if changes.get("total", self.total) < len(self.exported) and self.bug != "lowers the total too far":
            return
        for name, value in changes.items():
            setattr(self, name, value)
        self.version += 1
        self._log_edit(now_ms, {name: str(int(value)) for name, value in changes.items()})

    def _log_edit(self, now_ms, fields):
        self.entries.append(EditEntry(self.version, now_ms, "", fields))

    def refusal(self, now_ms):
        """Why nothing is granted, or None."""
        if self.closed or now_ms >= self.closes_at_ms:
            return None if self.bug == "grants after the closing" else Answer.CLOSED
        if now_ms < self.opens_at_ms:
            return None if self.bug == "grants before the opening" else Answer.NOT_OPEN
        if self.paused:
            return None if self.bug == "grants in a pause" else Answer.PAUSED
        return None

    def decide(self, now_ms, people):
        """(told, serial, at_ms) for each, in order."""
        if self.bug != "goes back in time":
            now_ms = max(now_ms, self.last_ms)
        reason, first, decisions = self.refusal(now_ms), len(self.exported) + 1, []
        stock = self.total + (self.bug == "sells one more") - (self.bug == "sells one less")
        sold_out = Answer.PAUSED if self.bug == "says paused when sold out" else Answer.SOLD_OUT
        for person in people:
            held = self.held.get(person)
            if held and not (self.bug == "refuses a replay when closed" and reason is Answer.CLOSED):
                at_ms = now_ms if self.bug == "tells the time of the replay" else held[1]
                decisions.append((Answer.REPLAYED, held[0], at_ms))
            elif reason is not None or len(self.exported) >= stock:
                decisions.append((reason or sold_out, 0, 0))
            else:
                self.held[person] = held = (len(self.exported) + 1, now_ms)
                self.exported.append((held[0], person, now_ms))
                decisions.append((Answer.GRANTED, *held))
        fresh = self.exported[first - 1 :]
        if fresh and not (self.bug == "logs only whole batches" and len(fresh) == 1):
            self.entries.append(GrantsEntry(first, now_ms, b"".join(digest(person) for _, person, _ in fresh)))
        self.last_ms = max(self.last_ms, now_ms) if fresh else self.last_ms
        return decisions

    def misbehave(self, rng):
        """What a bug does between two batches."""
        if self.held and self.bug in {"forgets a claim", "grants again what it forgot"} and rng.random() < 0.1:
            del self.held[rng.choice(list(self.held))]
        if self.exported and self.bug == "loses its last claim" and rng.random() < 0.05:
            del self.held[self.exported.pop()[1]]


@dataclass
class Asking:
    """One request on its way: when the server decides it (twice, if a gateway asks again), and what the client sees."""

    person: int
    start: float
    decided: list[float]
    end: float
    lost: Answer | None
    decision: tuple = ()

    @classmethod
    def draw(cls, rng, people):
        """Any fate a request can have."""
        start = rng.uniform(-1, SECONDS)
        decided = [start + rng.expovariate(4)]
        if rng.random() < 0.1:
            decided.append(decided[0] + rng.expovariate(4))
        lost = None
        end = decided[-1] + rng.expovariate(4)
        if rng.random() < 0.25:
            lost = rng.choice([Answer.DROPPED, Answer.UNAVAILABLE, Answer.OVERLOADED, Answer.NO_ANSWER, Answer.WRONG])
            end = rng.choice([float("nan"), start + rng.expovariate(4)])
            decided = rng.choice([[], decided, [decided[0] + rng.uniform(0, SECONDS)]])
        elif rng.random() < 0.05:
            lost, decided = rng.choice([Answer.RATE_LIMITED, Answer.UNAUTHENTICATED]), []
        return cls(rng.randrange(people), start, decided, end, lost)

    def operation(self):
        """As the client notes it."""
        told, serial, at_ms = (self.lost, 0, 0) if self.lost is not None else self.decision
        return Operation(self.start, self.end, digest(self.person), told, serial, at_ms)


def edit(rng, state, now_ms):
    """Any edit an operator makes."""
    later = now_ms + rng.randrange(2000)
    change = rng.choice([
        {"paused": not state.paused}, {"paused": False}, {"total": rng.randrange(1, 30)}, {"closed": True},
        {"opens_at_ms": later}, {"closes_at_ms": later + 3000}, {"total": len(state.exported)},
    ])  # fmt: skip
    state.edit(now_ms, **change)


@dataclass
class Played:
    """A history, and what it takes to check it."""

    state: Round
    asked: list[Operation]
    steady: bool
    edited: bool
    asked_twice: bool

    def check(self, **how):
        """With everything that may be known of it."""
        how = {
            "log": Log(tuple(self.state.entries)),
            "clock": CLOCK if self.steady else None,
            "gateways_repeat": self.asked_twice,
        } | how
        return check(columns(self.state.exported), Operations.of(self.asked), **how)


def play(seed, bug=""):
    """A round of a few seconds, from a seed."""
    rng = random.Random(seed)
    people, steady, edits = rng.randrange(2, 40), rng.random() < 0.5, rng.choice([0, 0, 3, 8])
    opens = rng.choice([-5.0, 0.0, 2.0])
    state = Round(rng.randrange(1, 25), at(opens), at(rng.choice([7.0, 60.0])), bug)
    asked = [Asking.draw(rng, people) for _ in range(rng.randrange(1, 90))]
    steps = [(moment, "decide", item) for item in asked for moment in item.decided]
    steps += [(rng.uniform(-2, SECONDS), "edit", None) for _ in range(edits)]
    steps.sort(key=lambda step: step[0])
    jump = 0
    while steps:
        moment, kind, item = steps[0]
        if not steady:
            jump = rng.choice([jump, jump, rng.randrange(-300, 300)])
        now_ms = at(moment) + jump
        if kind == "edit":
            edit(rng, state, now_ms)
            del steps[0]
            continue
        # A batch: neighbours in time that had all been sent when the first of them was decided.
        size = 1
        while size < min(len(steps), rng.randrange(1, 8)) and joins(steps[size], moment):
            size += 1
        batch = [step[2] for step in steps[:size]]
        del steps[:size]
        for item, decision in zip(batch, state.decide(now_ms, [item.person for item in batch]), strict=True):
            item.decision = decision
        state.misbehave(rng)
    operations = [item.operation() for item in asked]
    if bug == "hands out serials by gateway":
        operations = by_gateway(state, operations)
    rng.shuffle(operations)
    twice = any(len(item.decided) > 1 for item in asked)
    return Played(state, operations, steady, bool(edits), twice)


def at(seconds):
    """The server's milliseconds, cut as the script cuts them."""
    return BASE_MS + int(seconds * 1000 // 1)


def joins(step, moment):
    """Whether a decision can be made in a batch at `moment`."""
    return step[1] == "decide" and step[2].start <= moment and step[0] == step[2].decided[0]


def by_gateway(state, operations):
    """Two gateways with a block of serials each: everything agrees, but the numbers do not follow time."""
    half = (len(state.exported) + 1) // 2
    renamed = {serial: (serial * 2 - 1 if serial <= half else (serial - half) * 2) for serial, _, _ in state.exported}
    state.exported = [(renamed[serial], person, at_ms) for serial, person, at_ms in state.exported]
    return [item._replace(serial=renamed.get(item.serial, 0)) for item in operations]
