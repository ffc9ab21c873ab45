"""One round of the measurement: the capacity; then an ordinary load, the overload, and the ordinary load again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import psutil

from loadtest.client.flood import Floats, Flood, LoadRows
from loadtest.overload import probes
from loadtest.overload.claimants import Claimants
from loadtest.overload.environment import Environment
from loadtest.overload.probes import ProbeLog

# Three full batches: two in flight and one that waits.
CAPACITY_CONNECTIONS: Final = 1536
# New connections to a slow server, and loading the scripts, take several of its late replies.
_WARM_UP_SECONDS: Final = 3.0
# Left out of rates: the connections get in step with the server, the queue fills.
SETTLE_SECONDS: Final = 1.0
# More requests than a core can send, so that the measurement ends by the clock.
_MOST_PER_SECOND: Final = 100_000
ORDINARY_FRACTION: Final = 0.25
_BEFORE_SECONDS: Final = 2.0
_AFTER_SECONDS: Final = 6.0


@dataclass(frozen=True, slots=True)
class Plan:
    """The overload offers `times` the capacity for `seconds`, over so many `connections`."""

    times: float
    seconds: float
    connections: int


@dataclass(frozen=True, slots=True)
class Load:
    """The second part of a round. The overload lasts from `begins` to `ends`, in seconds since this part began.

    `offered` is its rate, `ordinary` the rate before and after, in claims a second.
    """

    begins: float
    ends: float
    offered: float
    ordinary: float

    @classmethod
    def of(cls, capacity: float, plan: Plan) -> "Load":
        """Return the load for a capacity in claims a second."""
        ends = _BEFORE_SECONDS + plan.seconds
        return cls(_BEFORE_SECONDS, ends, capacity * plan.times, capacity * ORDINARY_FRACTION)

    def due(self) -> Floats:
        """Return when each request is due, in seconds, ascending."""
        return np.concatenate(
            [
                _evenly(0.0, self.begins, self.ordinary),
                _evenly(self.begins, self.ends, self.offered),
                _evenly(self.ends, self.ends + _AFTER_SECONDS, self.ordinary),
            ]
        )


@dataclass(frozen=True, slots=True)
class LoadResult:
    """One load, with the number of its first claimant. `cpu` is the CPU time of `gateway` and `server` in seconds."""

    rows: LoadRows
    first_claimant: int
    cpu: dict[str, float]


@dataclass(frozen=True, slots=True)
class Round:
    """The measurements of one round. `quiet_rss` is the gateway's memory before the connections were made, in bytes."""

    capacity_per_second: float
    capacity: LoadResult
    overload: LoadResult
    load: Load
    probes: ProbeLog
    quiet_rss: int


class Measuring:
    """Measures one environment, over connections that it keeps for all rounds."""

    def __init__(self, environment: Environment, round_id: str, plan: Plan) -> None:
        """Open all connections to the gateway. Raises LoadError."""
        self._environment, self._round_id, self._plan = environment, round_id, plan
        self._claimants = Claimants(environment.claimd.keys, round_id)
        self._quiet_rss = environment.gateway.memory_info().rss
        self._flood = Flood(environment.claimd.port, plan.connections, round_id)

    @property
    def claimants(self) -> Claimants:
        """The claimants of all loads."""
        return self._claimants

    def close(self) -> None:
        """Close all connections to the gateway."""
        self._flood.close()

    def warm_up(self) -> LoadResult:
        """Claim for 3 s without measuring. Raises LoadError."""
        return self._claim_without_pause(_WARM_UP_SECONDS)

    def round(self, log: Path) -> Round:
        """Measure one round; the probes write to `log`. Raises LoadError, TargetError."""
        # As long as the overload: grants come in batches, and one batch must weigh the same in both rates.
        seconds = SETTLE_SECONDS + self._plan.seconds
        capacity = self._claim_without_pause(seconds)
        capacity_per_second = per_second(capacity.rows, SETTLE_SECONDS, seconds)
        load = Load.of(capacity_per_second, self._plan)
        due = load.due()
        self._claimants.passes(len(due))
        with probes.running(self._environment, self._round_id, log) as probe_log:
            overload = self._claim(due, np.inf, None)
        return Round(capacity_per_second, capacity, overload, load, probe_log, self._quiet_rss)

    def _claim_without_pause(self, seconds: float) -> LoadResult:
        connections = min(CAPACITY_CONNECTIONS, self._plan.connections)
        return self._claim(np.zeros(int(_MOST_PER_SECOND * seconds)), seconds, connections)

    def _claim(self, due: Floats, seconds: float, connections: int | None) -> LoadResult:
        passes = self._claimants.passes(len(due))
        before = self._cpu_seconds()
        rows = self._flood.run(due, passes, seconds, connections)
        after = self._cpu_seconds()
        return LoadResult(rows, self._claimants.use(len(rows)), {name: after[name] - before[name] for name in after})

    def _cpu_seconds(self) -> dict[str, float]:
        return {"gateway": _cpu_seconds(self._environment.gateway), "server": _cpu_seconds(self._environment.server)}


def per_second(rows: LoadRows, begin: float, end: float) -> float:
    """Return the grants a second between two moments of a load."""
    granted = rows.granted_at()
    return float(np.count_nonzero((granted >= begin) & (granted < end)) / (end - begin))


def _evenly(begin: float, end: float, rate: float) -> Floats:
    return begin + np.arange(int((end - begin) * rate)) / rate if rate else np.empty(0)


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
