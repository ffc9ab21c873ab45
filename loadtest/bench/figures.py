"""The medians of the measurements with their spread, and the two ratios that have a target."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any, Final

from loadtest.bench import full_batches
from loadtest.bench.contenders import AIOHTTP, CONSTANT, LANE
from loadtest.bench.measuring import Measured, Workload

CEILING_OF_PEER: Final = 1 / 5
CEILING_OF_FLOORS: Final = 2.5

# One measurement for each turn, by contender and workload.
Measurements = Mapping[tuple[str, Workload], Sequence[Measured]]
_FIGURES: Final = ("rps", "gateway_us_per_claim", "server_us_per_claim", "p50_ms", "p99_ms", "mean_batch")


def summary(measurements: Measurements) -> dict[str, dict[str, Any]]:
    """Return for each contender the medians of WIN, and under `workloads` those of each with `spread` (least, most)."""
    contenders: dict[str, dict[str, Any]] = {}
    for (name, workload), measured in measurements.items():
        rows = [asdict(each) for each in measured]
        figures = {key: _median([row[key] for row in rows]) for key in _FIGURES}
        spread = {key: _spread([row[key] for row in rows]) for key in _FIGURES}
        entry = contenders.setdefault(name, {"workloads": {}})
        entry["workloads"][workload] = {**figures, "spread": spread, "answers": sum(row["answers"] for row in rows)}
        if workload == Workload.WIN:
            entry.update(figures)
    return contenders


def ratios(contenders: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return claimd's CPU time of gateway and server for a granted claim, divided by the peer's and by the floors'."""
    claimd = _cpu(contenders[LANE])
    floors = contenders[CONSTANT]["gateway_us_per_claim"] + contenders[full_batches.NAME]["server_us_per_claim"]
    return {"of_aiohttp_redis": round(claimd / _cpu(contenders[AIOHTTP]), 4), "of_floors": round(claimd / floors, 3)}


def _cpu(contender: Mapping[str, Any]) -> float:
    return float(contender["gateway_us_per_claim"] + contender["server_us_per_claim"])


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known), 3) if known else None


def _spread(values: Sequence[float | None]) -> list[float] | None:
    known = [value for value in values if value is not None]
    return [round(min(known), 3), round(max(known), 3)] if known else None
