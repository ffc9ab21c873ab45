"""The medians of the measurements with their spread, and the ratios that have a target."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any, Final

from loadtest.bench import full_batches
from loadtest.bench.contenders import CLAIMD, LANE, LANE_EQUAL
from loadtest.bench.measuring import Measured, Workload
from loadtest.bench.peer_programs import AIOHTTP, AIOHTTP_VISIT, CONSTANT, NGINX
from loadtest.bench.visiting import Step, StepMeasured

# What is aimed at, by the name of the figure in `ratios` and `visit_ratios`.
CEILINGS: Final = {"of_aiohttp_redis": 1 / 5, "of_nginx_lua": 1 / 2, "of_floors": 2.5, "varied_heads_us": 1.5}

# One measurement for each turn, by contender and workload, or step of the visit.
Measurements = Mapping[tuple[str, Workload], Sequence[Measured]]
VisitMeasurements = Mapping[tuple[str, Step], Sequence[StepMeasured]]
_FIGURES: Final = ("rps", "gateway_us_per_claim", "server_us_per_claim", "p50_ms", "p99_ms", "mean_batch")
_STEP_FIGURES: Final = ("rps", "gateway_us", "server_us", "p50_ms", "p99_ms")


def summary(measurements: Measurements) -> dict[str, dict[str, Any]]:
    """Return for each contender the medians of WIN, and under `workloads` those of each with `spread` (least, most)."""
    contenders: dict[str, dict[str, Any]] = {}
    for (name, workload), measured in measurements.items():
        medians, rest = _medians(measured, _FIGURES)
        entry = contenders.setdefault(name, {"workloads": {}})
        entry["workloads"][workload] = {**medians, **rest}
        if workload == Workload.WIN:
            entry.update(medians)
    return contenders


def visit_summary(measurements: VisitMeasurements) -> dict[str, dict[str, Any]]:
    """Return for each contender the CPU time of a visit, and under `requests` the medians of each step with `spread`.

    The CPU times of the visit are the sums of the medians.
    """
    contenders: dict[str, dict[str, Any]] = {}
    for (name, step), measured in measurements.items():
        medians, rest = _medians(measured, _STEP_FIGURES)
        contenders.setdefault(name, {"requests": {}})["requests"][step] = {**medians, **rest}
    for entry in contenders.values():
        for key in ("gateway_us", "server_us"):
            entry[key] = round(sum(figures[key] for figures in entry["requests"].values()), 3)
        entry["total_us"] = round(entry["gateway_us"] + entry["server_us"], 3)
    return contenders


def ratios(contenders: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return claimd's CPU time of gateway and server for a granted claim, divided by that of others who were measured.

    `varied_heads_us` is how much more a claim takes with varied heads than with equal ones, in µs.
    """
    found = {}
    cpu = {name: entry["gateway_us_per_claim"] + entry["server_us_per_claim"] for name, entry in contenders.items()}
    claimd = cpu[LANE]
    for key, peer in (("of_aiohttp_redis", AIOHTTP.name), ("of_nginx_lua", NGINX.name)):
        if peer in cpu:
            found[key] = round(claimd / cpu[peer], 4)
    if {CONSTANT.name, full_batches.NAME} <= cpu.keys():
        gateway = contenders[CONSTANT.name]["gateway_us_per_claim"]
        found["of_floors"] = round(claimd / (gateway + contenders[full_batches.NAME]["server_us_per_claim"]), 3)
    if LANE_EQUAL in cpu:
        found["varied_heads_us"] = round(claimd - cpu[LANE_EQUAL], 3)
    return found


def visit_ratios(visit: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return claimd's CPU time for a visit, divided by the peer's; nothing where the peer was not measured."""
    if AIOHTTP_VISIT.name not in visit:
        return {}
    return {"of_aiohttp_redis": round(visit[CLAIMD]["total_us"] / visit[AIOHTTP_VISIT.name]["total_us"], 4)}


def _medians(measured: Sequence[Any], keys: Sequence[str]) -> tuple[dict[str, float | None], dict[str, Any]]:
    """The medians of dataclasses with these fields; their spread, and how many answers they count."""
    rows = [asdict(each) for each in measured]
    known = {key: [row[key] for row in rows if row[key] is not None] for key in keys}
    medians = {key: round(median(values), 3) if values else None for key, values in known.items()}
    spread = {key: [round(min(values), 3), round(max(values), 3)] if values else None for key, values in known.items()}
    return medians, {"spread": spread, "answers": sum(row["answers"] for row in rows)}
