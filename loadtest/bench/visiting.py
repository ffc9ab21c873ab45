"""One measurement of visits: people read the round, get a pass, read it again, claim, and look the claim up.

Each request of a visit is measured by itself: all people send it, one after the other, before any sends the next. So
its CPU time is known, and that of a visit is the sum.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import orjson

from loadtest.bench.contenders import Contender, Contenders
from loadtest.bench.readings import Reading
from loadtest.bench.rounds import AuditError
from loadtest.client.closed_loop import ClosedLoop
from loadtest.client.credentials import subject
from loadtest.client.requests import Requests

_WARM_UP = 300
_TOTAL = 2**31


class Step(StrEnum):
    """The requests of a visit, in their order."""

    ROUND = "round"
    PASS = "pass"
    ROUND_AGAIN = "round again"
    CLAIM = "claim"
    LOOK_UP = "claims/me"


@dataclass(frozen=True, slots=True)
class StepMeasured:
    """Figures of one request of the visit. CPU time in µs for each answer."""

    rps: float
    gateway_us: float
    server_us: float
    p50_ms: float
    p99_ms: float
    answers: int


def tokens(contenders: Contenders, turn: int, people: int) -> list[bytes]:
    """Return a bearer token for each person of a turn; no person comes twice, so all tokens are new to a contender."""
    return [contenders.sign(subject(turn, person)).encode() for person in range(people)]


class VisitTurn:
    """The visits of one contender in one turn, in a round of its own; then the audit.

    Where a step takes longer than `seconds`, fewer people go on to the next.
    """

    def __init__(
        self,
        contenders: Contenders,
        contender: Contender,
        tokens: Sequence[bytes],
        turn: int,
        seconds: float,
        connections: int,
    ) -> None:
        """Create the round. `tokens` has the bearer token of each person."""
        self._contenders, self._contender = contenders, contender
        self._tokens, self._seconds, self._connections = tokens, seconds, connections
        self._round_id = f"visit-{turn}-{contender.key}"
        contender.rounds.create(self._round_id, _TOTAL)
        self._requests = Requests(self._round_id, f"127.0.0.1:{contender.port}", contender.heads, contender.fields)
        self._passes: dict[int, bytes] = {}
        self._claims: dict[int, Any] = {}

    @property
    def name(self) -> str:
        """The name of the contender."""
        return self._contender.name

    def measure(self) -> Iterator[tuple[Step, StepMeasured]]:
        """Measure each step of the visit in its order. Raises AuditError, LoadError."""
        send, everyone = self._requests, range(len(self._tokens))
        yield Step.ROUND, self._step(everyone, send.read_round, self._check_round)
        yield Step.PASS, self._step(everyone, lambda each: send.issue_pass(each, self._tokens[each]), self._check_pass)
        people = list(self._passes)
        yield Step.ROUND_AGAIN, self._step(people, send.read_round, self._check_round)
        yield Step.CLAIM, self._step(people, lambda each: send.claim(each, self._passes[each]), self._check_claim)
        people = list(self._claims)
        yield (
            Step.LOOK_UP,
            self._step(people, lambda each: send.show_claim(each, self._passes[each]), self._check_look_up),
        )

    def audit(self) -> None:
        """Raise AuditError unless each acknowledged grant is stored, once."""
        serials = sorted(claim["serial"] for claim in self._claims.values())
        if serials != list(range(1, len(serials) + 1)):
            raise AuditError(f"{self.name}: the serials acknowledged are not 1 to {len(serials)}")
        self._contender.rounds.audit(self._round_id, len(serials))

    def _step(
        self, people: Sequence[int], request: Callable[[int], bytes], check: Callable[[int, bytes, Any], bool]
    ) -> StepMeasured:
        """Have `people` send their `request`. `check` gets a person, the status and the JSON of each answer."""
        first = min(_WARM_UP, len(people) // 4)
        warm_up, rest = people[:first], people[first:]
        load = ClosedLoop(self._contender.port, self._connections)
        try:
            load.run([request(person) for person in warm_up], self._seconds)
            self._check(load, warm_up, check)
            load.forget()
            requests = [request(person) for person in rest]
            before = self._read()
            load.run(requests, self._seconds)
            after = self._read()
            self._check(load, rest, check)
        finally:
            load.close()
        return _figures(before, after, load)

    def _check(self, load: ClosedLoop, people: Sequence[int], check: Callable[[int, bytes, Any], bool]) -> None:
        if not len(load):
            raise AuditError(f"{self.name}: there are too few people for a measurement")
        for row, status, body in zip(load.asked, load.statuses, load.bodies, strict=True):
            try:
                right = check(people[row], status, orjson.loads(body))
            except (ValueError, KeyError, TypeError):
                right = False
            if not right:
                start = body[:200].decode("utf-8", "replace")
                raise AuditError(f"{self.name}: a wrong answer: {status.decode()} {start}")

    def _check_round(self, person: int, status: bytes, document: Any) -> bool:  # noqa: ARG002 - equal for each person
        return status == b"200" and document["id"] == self._round_id and document["status"] == "open"

    def _check_pass(self, person: int, status: bytes, document: Any) -> bool:
        self._passes[person] = document["pass"].encode()
        return status == b"201"

    def _check_claim(self, person: int, status: bytes, document: Any) -> bool:
        self._claims[person] = document["claim"]
        return status == b"201" and document["replayed"] is False

    def _check_look_up(self, person: int, status: bytes, document: Any) -> bool:
        return status == b"200" and bool(document["claim"] == self._claims[person])

    def _read(self) -> Reading:
        return Reading.take(self._contender.gateway, self._contenders.server, self._contenders.redis)


def _figures(before: Reading, after: Reading, load: ClosedLoop) -> StepMeasured:
    answers = len(load)
    p50, p99 = np.percentile(load.latencies, [50, 99]) * 1000
    return StepMeasured(
        rps=answers / (after.at - before.at),
        gateway_us=(after.gateway - before.gateway) / answers * 1e6,
        server_us=(after.server - before.server) / answers * 1e6,
        p50_ms=float(p50),
        p99_ms=float(p99),
        answers=answers,
    )
