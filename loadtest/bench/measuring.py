"""One measurement: a workload, a contender, some seconds, and CPU time as the operating system counts it."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from zlib import crc32

import numpy as np
import psutil
from redis import Redis

from loadtest.bench.contenders import Contender, Field
from loadtest.bench.rounds import AuditError, Rounds, serial_told
from loadtest.client.closed_loop import ClosedLoop
from loadtest.client.credentials import mint
from loadtest.client.requests import claim_requests

WIN, REPLAY, SOLD_OUT = "win", "replay", "sold_out"
WORKLOADS = (WIN, REPLAY, SOLD_OUT)

# Far more than any contender answers, so that a measurement ends by the clock.
_MOST_PER_SECOND = 60_000
_WARM_UP = 2_000
_TOO_LATE = 20_000
# claimd takes no more than ten requests of one identity a second.
_TIMES = 8
_TOTAL = 2**31


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
    """One contender's turn: a round of its own, which wins, then replays, then is sold out; then audited."""

    def __init__(self, field: Field, contender: Contender, turn: int, seconds: float, connections: int) -> None:
        """Makes the round, and a pass for each who might come."""
        self._field, self._contender, self._seconds = field, contender, seconds
        self._connections = connections
        self._round_id = f"bench-{turn}-{contender.port}-{contender.name.split()[-1].strip('()').lower()}"
        contender.rounds.create(self._round_id, _TOTAL)
        come = int(seconds * _MOST_PER_SECOND) + _WARM_UP
        people = come + _TOO_LATE
        # Other people for each: claimd counts what one identity asks, whatever round or door it is for.
        seed = crc32(self._round_id.encode())
        packed = mint(field.keys, self._round_id, seed, np.arange(people, dtype=np.int32), people)
        requests = claim_requests(self._round_id, f"127.0.0.1:{contender.port}", packed, contender.header)
        self._fresh, self._late = requests[:come], requests[come:]
        self._held: dict[bytes, int] = {}

    @property
    def name(self) -> str:
        """The contender's."""
        return self._contender.name

    @property
    def rounds(self) -> Rounds:
        """Where its rounds are."""
        return self._contender.rounds

    @property
    def workloads(self) -> tuple[str, ...]:
        """Those that mean something for this contender: a constant always wins."""
        return WORKLOADS if self._contender.decides else (WIN,)

    def measure(self, workload: str) -> Measured:
        """Measure a workload; they build on each other, so in the order of WORKLOADS. Raises AuditError, LoadError."""
        return {WIN: self._win, REPLAY: self._replay, SOLD_OUT: self._sold_out}[workload]()

    def audit(self) -> None:
        """Raises AuditError where not each grant that was told is there, once."""
        serials = sorted(self._held.values())
        if serials != list(range(1, len(serials) + 1)):
            raise AuditError(f"{self._contender.name}: the serials told are not 1 to {len(serials)}")
        self._contender.rounds.audit(self._round_id, len(serials))

    def _win(self) -> Measured:
        def check(requests: list[bytes], load: ClosedLoop) -> None:
            _expect(load, b"201")
            told = {requests[row]: serial_told(body) for row, body in zip(load.asked, load.bodies, strict=True)}
            self._held.update(told if self._contender.decides else {})

        return self._load(self._fresh, check)

    def _replay(self) -> Measured:
        def check(requests: list[bytes], load: ClosedLoop) -> None:
            _expect(load, b"200")
            for row, body in zip(load.asked, load.bodies, strict=True):
                if serial_told(body) != self._held[requests[row]]:
                    raise AuditError(f"{self._contender.name}: a replay told another serial than the grant")

        return self._load(list(self._held) * _TIMES, check)

    def _sold_out(self) -> Measured:
        self._contender.rounds.sell_out(self._round_id, len(self._held))
        return self._load(self._late * _TIMES, lambda _, load: _expect(load, b"409"))

    def _load(self, requests: list[bytes], check: Callable[[list[bytes], ClosedLoop], None]) -> Measured:
        load = ClosedLoop(self._contender.port, self._connections)
        try:
            # On a machine that did little there is little to repeat, and nobody may be asked for more than _TIMES.
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
        return Reading.take(self._contender.gateway, self._field.server, self._field.redis)


@dataclass(frozen=True, slots=True)
class Reading:
    """How processor time and script calls stand at one moment, in seconds."""

    at: float
    gateway: float
    server: float
    calls: int

    @classmethod
    def take(cls, gateway: psutil.Process | None, server: psutil.Process, redis: "Redis") -> "Reading":
        """Read them now; `gateway` None where there is none."""
        calls = redis.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)
        return cls(perf_counter(), _cpu_seconds(gateway) if gateway else 0.0, _cpu_seconds(server), int(calls))

    def until(self, after: "Reading", answers: int, latencies: list[float]) -> Measured:
        """What happened between two readings, for each of `answers`."""
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
    """Processor time a process has taken so far, in user and kernel mode."""
    times = process.cpu_times()
    return float(times.user + times.system)


def _expect(load: ClosedLoop, status: bytes) -> None:
    for told, body in zip(load.statuses, load.bodies, strict=True):
        if told != status:
            raise AuditError(f"{status.decode()} was expected, not {told.decode()} {body[:200]!r}")
