"""One measurement of claims: a workload, a contender, some seconds; every answer is checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from time import perf_counter
from zlib import crc32

import numpy as np

from claimd.identity.passes import PASS_CHARACTERS
from loadtest.bench.contenders import Contender, Contenders
from loadtest.bench.peers.answers import CONSTANT_ROUND
from loadtest.bench.readings import Reading
from loadtest.bench.rounds import AuditError, Rounds
from loadtest.client.answers import Answer, Finding, Reader
from loadtest.client.closed_loop import ClosedLoop
from loadtest.client.credentials import mint
from loadtest.client.requests import Requests

# Far more than any contender answers, so that a measurement ends by the clock.
_MOST_PER_SECOND = 60_000
_WARM_UP = 2_000
# A contender that is warm may be as many times as fast as during the warm-up.
_TIMES_WARM_UP = 4
_LATE_CLAIMANTS = 20_000
# Requests of one identity: claimd accepts ten a second.
_TIMES = 8
_TOTAL = 2**31


class Workload(StrEnum):
    """What every claim of a measurement meets. They build on each other, in this order."""

    WIN = "win"
    REPLAY = "replay"
    SOLD_OUT = "sold_out"


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of one measurement. CPU time in µs for each answer; `mean_batch` is claims in one script call."""

    rps: float
    gateway_us_per_claim: float
    server_us_per_claim: float
    p50_ms: float
    p99_ms: float
    mean_batch: float | None
    answers: int

    @classmethod
    def between(cls, before: Reading, after: Reading, latencies: Sequence[float], claims: int) -> "Measured":
        """Return the figures of the `claims` that were answered between two readings. `latencies` are seconds."""
        calls = after.calls - before.calls
        p50, p99 = np.percentile(latencies, [50, 99]) * 1000
        return cls(
            rps=claims / (after.at - before.at),
            gateway_us_per_claim=(after.gateway - before.gateway) / claims * 1e6,
            server_us_per_claim=(after.server - before.server) / claims * 1e6,
            p50_ms=float(p50),
            p99_ms=float(p99),
            mean_batch=claims / calls if calls else None,
            answers=claims,
        )


class ClaimTurn:
    """One contender's turn in a round of its own: all win, all replay, all find it sold out; then the audit.

    People are numbers from 0: first those that may win, then those that find it sold out.
    """

    def __init__(
        self, contenders: Contenders, contender: Contender, turn: int, seconds: float, connections: int
    ) -> None:
        """Create the round, and a pass for each claimant that there may be."""
        self._contenders, self._contender, self._seconds = contenders, contender, seconds
        self._connections = connections
        self._round_id = f"bench-{turn}-{contender.key}"
        contender.rounds.create(self._round_id, _TOTAL)
        self._fresh = range(int(seconds * _MOST_PER_SECOND) + _WARM_UP)
        self._late = range(self._fresh.stop, self._fresh.stop + _LATE_CLAIMANTS)
        # Other identities for each round: claimd's rate limit counts the requests of an identity in all rounds.
        seed = crc32(self._round_id.encode())
        people = np.arange(self._late.stop, dtype=np.int32)
        self._passes = mint(contenders.keys, self._round_id, seed, people, len(people))
        host = f"127.0.0.1:{contender.port}"
        self._requests = Requests(self._round_id, host, contender.heads, contender.fields)
        self._serials: dict[int, int] = {}

    @property
    def name(self) -> str:
        """The name of the contender."""
        return self._contender.name

    @property
    def rounds(self) -> Rounds:
        """The rounds of the contender."""
        return self._contender.rounds

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """The workloads of this contender: WIN alone if it answers a constant."""
        return tuple(Workload) if self._contender.decides else (Workload.WIN,)

    def measure(self, workload: Workload) -> Measured:
        """Measure a workload; call it in the order of `workloads`. Raises AuditError, LoadError."""
        measures = {Workload.WIN: self._win, Workload.REPLAY: self._replay, Workload.SOLD_OUT: self._sold_out}
        return measures[workload]()

    def audit(self) -> None:
        """Raise AuditError unless each acknowledged grant is stored, once."""
        serials = sorted(self._serials.values())
        if serials != list(range(1, len(serials) + 1)):
            raise AuditError(f"{self._contender.name}: the serials acknowledged are not 1 to {len(serials)}")
        self._contender.rounds.audit(self._round_id, len(serials))

    def _win(self) -> Measured:
        def check(people: Sequence[int], load: ClosedLoop) -> None:
            findings = self._findings(load, Answer.GRANTED)
            if self._contender.decides:
                acknowledged = zip(load.asked, findings, strict=True)
                self._serials.update({people[row]: finding.serial for row, finding in acknowledged})

        return self._measure(self._fresh, check)

    def _replay(self) -> Measured:
        def check(people: Sequence[int], load: ClosedLoop) -> None:
            for row, finding in zip(load.asked, self._findings(load, Answer.REPLAYED), strict=True):
                if finding.serial != self._serials[people[row]]:
                    raise AuditError(f"{self._contender.name}: a replay has another serial than the grant")

        return self._measure(list(self._serials) * _TIMES, check)

    def _sold_out(self) -> Measured:
        def check(_: Sequence[int], load: ClosedLoop) -> None:
            self._findings(load, Answer.SOLD_OUT)

        self._contender.rounds.sell_out(self._round_id, len(self._serials))
        return self._measure(list(self._late) * _TIMES, check)

    def _findings(self, load: ClosedLoop, expected: Answer) -> list[Finding]:
        """Read the answers of a load. Raises AuditError if one is not `expected`."""
        read = Reader(self._round_id if self._contender.decides else CONSTANT_ROUND).read
        findings = [read(status, body) for status, body in zip(load.statuses, load.bodies, strict=True)]
        for finding in findings:
            if finding.answer is not expected:
                error = finding.error or finding.answer.name
                raise AuditError(f"{self._contender.name}: {expected.name} was expected, not {error}")
        return findings

    def _measure(self, people: Sequence[int], check: Callable[[Sequence[int], ClosedLoop], None]) -> Measured:
        """Have `people` claim, one after the other, for as long as a measurement lasts."""
        # On a slow machine there are few claims to repeat, and no identity may send more than _TIMES requests.
        first = min(_WARM_UP, len(people) // _TIMES)
        warm_up = people[:first]
        load = ClosedLoop(self._contender.port, self._connections)
        try:
            requests = self._claims(warm_up)
            began = perf_counter()
            load.run(requests, self._seconds)
            rate = len(load) / (perf_counter() - began)
            check(warm_up, load)
            load.forget()
            # Requests are built before the clock starts, and not many more than this contender answers.
            most = int(self._seconds * min(_MOST_PER_SECOND, _TIMES_WARM_UP * rate)) + _WARM_UP
            rest = people[first : first + most]
            requests = self._claims(rest)
            before = self._read()
            load.run(requests, self._seconds)
            after = self._read()
            check(rest, load)
        finally:
            load.close()
        return Measured.between(before, after, load.latencies, len(load))

    def _claims(self, people: Sequence[int]) -> list[bytes]:
        passes, claim = self._passes, self._requests.claim
        return [claim(each, passes[each * PASS_CHARACTERS : (each + 1) * PASS_CHARACTERS]) for each in people]

    def _read(self) -> Reading:
        return Reading.take(self._contender.gateway, self._contenders.server, self._contenders.redis)
