"""One measurement: a workload, a contender, some seconds, and CPU time as the operating system counts it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from time import perf_counter
from zlib import crc32

import numpy as np
import psutil
from redis import Redis

from loadtest.bench.contenders import Contender, Contenders
from loadtest.bench.peers.answers import CONSTANT_ROUND
from loadtest.bench.rounds import AuditError, Rounds
from loadtest.client.answers import Answer, Finding, Reader
from loadtest.client.closed_loop import ClosedLoop
from loadtest.client.credentials import mint
from loadtest.client.requests import Requests

# Far more than any contender answers, so that a measurement ends by the clock.
_MOST_PER_SECOND = 60_000
_WARM_UP = 2_000
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


class Visit:
    """One contender's turn in a round of its own: all win, all replay, all find it sold out; then the audit."""

    def __init__(
        self, contenders: Contenders, contender: Contender, turn: int, seconds: float, connections: int
    ) -> None:
        """Create the round, and a request for each claimant that there may be."""
        self._contenders, self._contender, self._seconds = contenders, contender, seconds
        self._connections = connections
        self._round_id = f"bench-{turn}-{contender.port}-{contender.name.split()[-1].strip('()').lower()}"
        contender.rounds.create(self._round_id, _TOTAL)
        fresh = int(seconds * _MOST_PER_SECOND) + _WARM_UP
        claimants = fresh + _LATE_CLAIMANTS
        # Other identities for each round: claimd's rate limit counts the requests of an identity in all rounds.
        seed = crc32(self._round_id.encode())
        people = np.arange(claimants, dtype=np.int32)
        packed = mint(contenders.keys, self._round_id, seed, people, claimants)
        sender = Requests(self._round_id, f"127.0.0.1:{contender.port}", None, contender.header)
        requests = sender.claims(people.tolist(), packed)
        self._fresh, self._late = requests[:fresh], requests[fresh:]
        self._serials: dict[bytes, int] = {}

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
        def check(requests: list[bytes], load: ClosedLoop) -> None:
            findings = self._findings(load, Answer.GRANTED)
            if self._contender.decides:
                acknowledged = zip(load.asked, findings, strict=True)
                self._serials.update({requests[row]: finding.serial for row, finding in acknowledged})

        return self._measure(self._fresh, check)

    def _replay(self) -> Measured:
        def check(requests: list[bytes], load: ClosedLoop) -> None:
            for row, finding in zip(load.asked, self._findings(load, Answer.REPLAYED), strict=True):
                if finding.serial != self._serials[requests[row]]:
                    raise AuditError(f"{self._contender.name}: a replay has another serial than the grant")

        return self._measure(list(self._serials) * _TIMES, check)

    def _sold_out(self) -> Measured:
        def check(_: list[bytes], load: ClosedLoop) -> None:
            self._findings(load, Answer.SOLD_OUT)

        self._contender.rounds.sell_out(self._round_id, len(self._serials))
        return self._measure(self._late * _TIMES, check)

    def _findings(self, load: ClosedLoop, expected: Answer) -> list[Finding]:
        """Read the answers of a load. Raises AuditError if one is not `expected`."""
        read = Reader(self._round_id if self._contender.decides else CONSTANT_ROUND).read
        findings = [read(status, body) for status, body in zip(load.statuses, load.bodies, strict=True)]
        for finding in findings:
            if finding.answer is not expected:
                error = finding.error or finding.answer.name
                raise AuditError(f"{self._contender.name}: {expected.name} was expected, not {error}")
        return findings

    def _measure(self, requests: list[bytes], check: Callable[[list[bytes], ClosedLoop], None]) -> Measured:
        load = ClosedLoop(self._contender.port, self._connections)
        try:
            # On a slow machine there are few claims to repeat, and no identity may send more than _TIMES requests.
            first = min(_WARM_UP, len(requests) // _TIMES)
            warm_up, rest = requests[:first], requests[first:]
            load.run(warm_up, self._seconds)
            check(warm_up, load)
            load.forget()
            before = self._read()
            load.run(rest, self._seconds)
            after = self._read()
            check(rest, load)
        finally:
            load.close()
        return before.until(after, len(load), load.latencies)

    def _read(self) -> "Reading":
        return Reading.take(self._contender.gateway, self._contenders.server, self._contenders.redis)


@dataclass(frozen=True, slots=True)
class Reading:
    """CPU time and time in seconds, and the number of script calls, at one moment."""

    at: float
    gateway: float
    server: float
    calls: int

    @classmethod
    def take(cls, gateway: psutil.Process | None, server: psutil.Process, redis: "Redis") -> "Reading":
        """Read them now. Without a gateway its CPU time is 0."""
        calls = redis.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)
        return cls(perf_counter(), _cpu_seconds(gateway) if gateway else 0.0, _cpu_seconds(server), int(calls))

    def until(self, after: "Reading", answers: int, latencies: list[float]) -> Measured:
        """Return the figures of the `answers` between this reading and a later one. `latencies` are seconds."""
        calls = after.calls - self.calls
        p50, p99 = np.percentile(latencies, [50, 99]) * 1000
        return Measured(
            rps=answers / (after.at - self.at),
            gateway_us_per_claim=(after.gateway - self.gateway) / answers * 1e6,
            server_us_per_claim=(after.server - self.server) / answers * 1e6,
            p50_ms=float(p50),
            p99_ms=float(p99),
            mean_batch=answers / calls if calls else None,
            answers=answers,
        )


def _cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of a process so far, in user and kernel mode."""
    times = process.cpu_times()
    return float(times.user + times.system)
