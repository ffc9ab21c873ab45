"""One round of measuring: the capacity; then an ordinary load, several times the capacity, the ordinary load again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import psutil

from loadtest.client.flood import Floats, Flood, LoadRows
from loadtest.overload import probes
from loadtest.overload.claimants import People
from loadtest.overload.environment import Stage
from loadtest.overload.probes import Seen

# Three full batches: two on their way, and always one that waits.
CAPACITY_CONNECTIONS: Final = 1536
# New connections to a slow server, and its first scripts, take several of its replies.
_WARM_UP_SECONDS: Final = 3.0
# Until the connections are in step with the server, and while the queue fills.
SETTLE_SECONDS: Final = 1.0
# More than a core can ask for, so that the measurement ends by the clock.
_MOST_PER_SECOND: Final = 100_000
ORDINARY_FRACTION: Final = 0.25
_BEFORE_SECONDS: Final = 2.0
_AFTER_SECONDS: Final = 6.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How a round is measured: offered is `times` the capacity, for `seconds`."""

    times: float
    seconds: float
    connections: int


@dataclass(frozen=True, slots=True)
class Load:
    """The moments of the second part, in seconds since it began: overload from `begins` to `ends`."""

    begins: float
    ends: float
    offered: float
    ordinary: float

    @classmethod
    def of(cls, capacity: float, plan: Plan) -> "Load":
        """For a capacity in claims a second."""
        ends = _BEFORE_SECONDS + plan.seconds
        return cls(_BEFORE_SECONDS, ends, capacity * plan.times, capacity * ORDINARY_FRACTION)

    def due(self) -> Floats:
        """When each request is due."""
        return np.concatenate(
            [
                _evenly(0.0, self.begins, self.ordinary),
                _evenly(self.begins, self.ends, self.offered),
                _evenly(self.ends, self.ends + _AFTER_SECONDS, self.ordinary),
            ]
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """One load, and the number of the first person who asked; `cpu` is each process's processor time in seconds."""

    answers: LoadRows
    first_person: int
    cpu: dict[str, float]


@dataclass(frozen=True, slots=True)
class Round:
    """All there is of one round. `quiet_rss` is the gateway's memory before the connections were made, in bytes."""

    capacity_per_second: float
    capacity: Asked
    overload: Asked
    load: Load
    seen: Seen
    quiet_rss: int


class Measuring:
    """One stage, and its connections."""

    def __init__(self, stage: Stage, round_id: str, plan: Plan) -> None:
        """Connects. Raises LoadError."""
        self._stage, self._round_id, self._plan = stage, round_id, plan
        self._people = People(stage.claimd.keys, round_id)
        self._quiet_rss = stage.gateway.memory_info().rss
        self._flood = Flood(stage.claimd.port, plan.connections, round_id)

    @property
    def people(self) -> People:
        """Who asked."""
        return self._people

    def close(self) -> None:
        """Close the connections."""
        self._flood.close()

    def warm_up(self) -> Asked:
        """Ask for a while without measuring. Raises LoadError."""
        return self._ask_all_the_time(_WARM_UP_SECONDS)

    def round(self, log: Path) -> Round:
        """Measure once; the probes write to `log`. Raises LoadError, TargetError."""
        # As long as the overload: grants come in batches, and one more or less must matter as little here as there.
        seconds = SETTLE_SECONDS + self._plan.seconds
        capacity = self._ask_all_the_time(seconds)
        capacity_per_second = per_second(capacity.answers, SETTLE_SECONDS, seconds)
        load = Load.of(capacity_per_second, self._plan)
        due = load.due()
        self._people.passes(len(due))
        with probes.looking(self._stage, self._round_id, log) as seen:
            overload = self._ask(due, np.inf, None)
        return Round(capacity_per_second, capacity, overload, load, seen, self._quiet_rss)

    def _ask_all_the_time(self, seconds: float) -> Asked:
        connections = min(CAPACITY_CONNECTIONS, self._plan.connections)
        return self._ask(np.zeros(int(_MOST_PER_SECOND * seconds)), seconds, connections)

    def _ask(self, due: Floats, seconds: float, connections: int | None) -> Asked:
        passes = self._people.passes(len(due))
        before = self._cpu_seconds()
        answers = self._flood.run(due, passes, seconds, connections)
        after = self._cpu_seconds()
        return Asked(answers, self._people.came(len(answers)), {name: after[name] - before[name] for name in after})

    def _cpu_seconds(self) -> dict[str, float]:
        return {"gateway": _cpu_seconds(self._stage.gateway), "server": _cpu_seconds(self._stage.server)}


def per_second(answers: LoadRows, begin: float, end: float) -> float:
    """Grants a second between two moments of a load."""
    granted = answers.granted_at()
    return float(np.count_nonzero((granted >= begin) & (granted < end)) / (end - begin))


def _evenly(begin: float, end: float, rate: float) -> Floats:
    return begin + np.arange(int((end - begin) * rate)) / rate if rate else np.empty(0)


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
