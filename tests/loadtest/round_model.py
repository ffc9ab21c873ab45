"""A correct model of a round that decides one batch at a time, and the history its clients see: the checker's oracle.

Requests overlap, answers are lost, gateways repeat calls, operators edit, the server's clock jumps. A `bug` breaks it.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from claimd.domain.claims import VoidedClaim
from claimd.domain.log import EditEntry, GrantsEntry, LogEntry, VoidEntry
from loadtest.client.answers import Answer
from loadtest.history.checker import check
from loadtest.history.log import Log
from loadtest.history.operations import Operation, Operations
from loadtest.history.recount import Recount
from tests.loadtest.histories import BASE_MS, CLOCK, columns, digest

SECONDS = 10.0
BUGS = {
    "sells one more": "oversold",
    "forgets a claim": "refused_after_told",
    "grants again what it forgot": "identities_repeated",
    "loses its last claim": "told_but_not_exported",
    "grants in a pause": "granted_while_paused",
    "grants before the opening": "granted_before_opening",
    "grants after the closing": "granted_while_closed",
    "sells one less": "sold_out_too_early",
    "assigns serials by gateway": "out_of_order",
    "goes back in time": "time_goes_back",
    "refuses a replay when closed": "refused_after_told",
    "logs only whole batches": "log_disagrees",
    "answers a replay with its own time": "told_another_time",
    "answers paused when sold out": "paused_untruly",
    "lowers the total too far": "total_below_issued",
    "gives a voided pack back twice": "oversold",
    "voids a claim twice": "voids_broken",
}

# Answer, serial and time.
Decision: TypeAlias = tuple[Answer, int, int]


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
    claims: dict[int, tuple[int, int]] = field(default_factory=dict)
    exported: list[tuple[int, int, int]] = field(default_factory=list)
    voided_at_ms: dict[int, int] = field(default_factory=dict)
    barred: set[int] = field(default_factory=set)
    entries: list[LogEntry] = field(default_factory=list)

    def __post_init__(self) -> None:
        fields = {"total": self.total, "opens_at_ms": self.opens_at_ms, "closes_at_ms": self.closes_at_ms}
        self._log_edit(BASE_MS - 60_000, {name: str(value) for name, value in fields.items()})

    def edit(self, now_ms: int, **changes: int) -> None:
        """Change fields; a total below what is held is rejected."""
        if changes.get("total", self.total) < self.held and self.bug != "lowers the total too far":
            return
        for name, value in changes.items():
            setattr(self, name, value)
        self.version += 1
        self._log_edit(now_ms, {name: str(int(value)) for name, value in changes.items()})

    @property
    def held(self) -> int:
        """How many claims count."""
        return len(self.exported) - len(self.voided_at_ms)

    def void(self, now_ms: int, serial: int, *, bar: bool) -> None:
        """Take a claim back, once."""
        if not 1 <= serial <= len(self.exported):
            return
        if serial in self.voided_at_ms and self.bug != "voids a claim twice":
            return
        _, claimant, claimed_at_ms = self.exported[serial - 1]
        at_ms = max(now_ms, self.last_ms)
        self.voided_at_ms[serial] = at_ms
        if self.claims.get(claimant, (0, 0))[0] == serial:
            del self.claims[claimant]
        if bar:
            self.barred.add(claimant)
        claim = VoidedClaim(serial, digest(claimant), claimed_at_ms, at_ms, bar)
        self.entries.append(VoidEntry(claim, self.version, ""))

    def _log_edit(self, now_ms: int, fields: dict[str, str]) -> None:
        self.entries.append(EditEntry(self.version, now_ms, "", fields))

    def refusal(self, now_ms: int) -> Answer | None:
        """Return the reason why nothing is granted, or None."""
        if self.closed or now_ms >= self.closes_at_ms:
            return None if self.bug == "grants after the closing" else Answer.CLOSED
        if now_ms < self.opens_at_ms:
            return None if self.bug == "grants before the opening" else Answer.NOT_OPEN
        if self.paused:
            return None if self.bug == "grants in a pause" else Answer.PAUSED
        return None

    def decide(self, now_ms: int, claimants: Iterable[int]) -> list[Decision]:
        """Decide one batch, in order."""
        if self.bug != "goes back in time":
            now_ms = max(now_ms, self.last_ms)
        reason, first = self.refusal(now_ms), len(self.exported) + 1
        back = len(self.voided_at_ms) * (2 if self.bug == "gives a voided pack back twice" else 1)
        stock = self.total + back + (self.bug == "sells one more") - (self.bug == "sells one less")
        sold_out = Answer.PAUSED if self.bug == "answers paused when sold out" else Answer.SOLD_OUT
        decisions: list[Decision] = []
        for claimant in claimants:
            claim = self.claims.get(claimant)
            if claim and not (self.bug == "refuses a replay when closed" and reason is Answer.CLOSED):
                at_ms = now_ms if self.bug == "answers a replay with its own time" else claim[1]
                decisions.append((Answer.REPLAYED, claim[0], at_ms))
            elif claimant in self.barred:
                decisions.append((Answer.BARRED, 0, 0))
            elif reason is not None or len(self.exported) >= stock:
                decisions.append((reason or sold_out, 0, 0))
            else:
                serial = len(self.exported) + 1
                self.claims[claimant] = serial, now_ms
                self.exported.append((serial, claimant, now_ms))
                decisions.append((Answer.GRANTED, serial, now_ms))
        fresh = self.exported[first - 1 :]
        if fresh and not (self.bug == "logs only whole batches" and len(fresh) == 1):
            self.entries.append(GrantsEntry(first, now_ms, b"".join(digest(claimant) for _, claimant, _ in fresh)))
        self.last_ms = max(self.last_ms, now_ms) if fresh else self.last_ms
        return decisions

    def misbehave(self, rng: random.Random) -> None:
        """Apply what a bug does between two batches."""
        if self.claims and self.bug in {"forgets a claim", "grants again what it forgot"} and rng.random() < 0.1:
            del self.claims[rng.choice(list(self.claims))]
        if self.exported and self.bug == "loses its last claim" and rng.random() < 0.05:
            del self.claims[self.exported.pop()[1]]


@dataclass
class Request:
    """One request: when the server decides it (twice if a gateway repeats its call), and what the client sees.

    `lost` is the answer the client sees where it does not see the decision.
    """

    claimant: int
    start: float
    decided: list[float]
    end: float
    lost: Answer | None
    decision: Decision | None = None

    @classmethod
    def draw(cls, rng: random.Random, claimants: int) -> "Request":
        """Draw a request with any fate that requests can have."""
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
        return cls(rng.randrange(claimants), start, decided, end, lost)

    def operation(self) -> Operation:
        """Return the operation that the client records."""
        if self.lost is not None:
            return Operation(self.start, self.end, digest(self.claimant), self.lost)
        assert self.decision is not None, "what is not lost was decided"
        return Operation(self.start, self.end, digest(self.claimant), *self.decision)


def edit(rng: random.Random, state: Round, now_ms: int) -> None:
    """Apply any edit or void that an operator makes."""
    if rng.random() < 0.3:
        state.void(now_ms, rng.randrange(1, len(state.exported) + 2), bar=rng.random() < 0.4)
        return
    later = now_ms + rng.randrange(2000)
    changes: list[dict[str, int]] = [
        {"paused": not state.paused}, {"paused": False}, {"total": rng.randrange(1, 30)}, {"closed": True},
        {"opens_at_ms": later}, {"closes_at_ms": later + 3000}, {"total": state.held},
    ]  # fmt: skip
    state.edit(now_ms, **rng.choice(changes))


@dataclass
class Played:
    """A history, and what the checker needs to know of it."""

    state: Round
    operations: list[Operation]
    steady: bool
    edited: bool
    repeated: bool

    def check(self, **options: Any) -> Recount:
        """Check the history with all there is to know of it, unless `options` replace it."""
        known: dict[str, Any] = {
            "log": Log(tuple(self.state.entries)),
            "clock": CLOCK if self.steady else None,
            "gateways_repeat": self.repeated,
        }
        return check(
            columns(self.state.exported, self.state.voided_at_ms), Operations.of(self.operations), **known | options
        )


def play(seed: int, bug: str = "") -> Played:
    """Play a round of a few seconds from a seed."""
    rng = random.Random(seed)
    claimants, steady, edits = rng.randrange(2, 40), rng.random() < 0.5, rng.choice([0, 0, 3, 8])
    opens = rng.choice([-5.0, 0.0, 2.0])
    state = Round(rng.randrange(1, 25), at(opens), at(rng.choice([7.0, 60.0])), bug)
    requests = [Request.draw(rng, claimants) for _ in range(rng.randrange(1, 90))]
    # (moment, the request that is decided then, or None for an edit)
    steps: list[tuple[float, Request | None]] = [(moment, each) for each in requests for moment in each.decided]
    steps += [(rng.uniform(-2, SECONDS), None) for _ in range(edits)]
    steps.sort(key=lambda step: step[0])
    jump_ms = 0
    while steps:
        moment, request = steps[0]
        if not steady:
            jump_ms = rng.choice([jump_ms, jump_ms, rng.randrange(-300, 300)])
        now_ms = at(moment) + jump_ms
        if request is None:
            edit(rng, state, now_ms)
            del steps[0]
            continue
        # A batch: neighbours in time that had all been sent when the first of them was decided.
        batch = [request]
        while len(batch) < min(len(steps), rng.randrange(1, 8)):
            next_request = steps[len(batch)][1]
            if next_request is None or not joins(steps[len(batch)][0], next_request, moment):
                break
            batch.append(next_request)
        del steps[: len(batch)]
        for each, decision in zip(batch, state.decide(now_ms, [each.claimant for each in batch]), strict=True):
            each.decision = decision
        state.misbehave(rng)
    operations = [each.operation() for each in requests]
    if bug == "assigns serials by gateway":
        operations = by_gateway(state, operations)
    rng.shuffle(operations)
    repeated = any(len(each.decided) > 1 for each in requests)
    return Played(state, operations, steady, bool(edits), repeated)


def at(seconds: float) -> int:
    """Convert to milliseconds of the server's clock, truncated as the script truncates them."""
    return BASE_MS + int(seconds * 1000 // 1)


def joins(decided_at: float, request: Request, moment: float) -> bool:
    """Return whether the decision that `request` has at `decided_at` can be part of a batch at `moment`."""
    return request.start <= moment and decided_at == request.decided[0]


def by_gateway(state: Round, operations: list[Operation]) -> list[Operation]:
    """Renumber as if two gateways had a block of serials each: everything agrees, but serials do not follow time."""
    half = (len(state.exported) + 1) // 2
    renamed = {serial: (serial * 2 - 1 if serial <= half else (serial - half) * 2) for serial, _, _ in state.exported}
    state.exported = [(renamed[serial], claimant, at_ms) for serial, claimant, at_ms in state.exported]
    return [each._replace(serial=renamed.get(each.serial, 0)) for each in operations]
