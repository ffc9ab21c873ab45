"""The report of a drop: `report.json` with all figures, and `report.html`, one page with charts."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import jinja2
import numpy as np

from loadtest import commandline
from loadtest.crowd import lateness
from loadtest.crowd.arrivals import Floats
from loadtest.crowd.pace import Pace, describe_pace, pace_of
from loadtest.crowd.records import Rows
from loadtest.drop import figures, verdict
from loadtest.drop.messages import Done
from loadtest.history.export import Export
from loadtest.history.recount import Recount
from loadtest.target import machine

_TEMPLATES: Final = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class DropResult:
    """All that was recorded of one drop. `audit` is claimd's answer, or `{"error": …}` where there was none."""

    round_id: str
    pool: int
    seconds: float
    seed: int
    rows: Rows
    generators: list[Done]
    export: Export
    audit: dict[str, Any]
    recount: Recount
    processes: dict[str, Any]
    server_ms_at_zero: float


def build(drop: DropResult) -> dict[str, Any]:
    """The report as a dict, verdict first."""
    answered = figures.answered(drop.rows)
    took, outcomes = figures.seconds_to_sellout(drop.export, drop.pool), figures.outcomes(drop.rows)
    pace, us_each = pace_of(drop.seconds), 1e6 / max(1, outcomes["offered"])
    body: dict[str, Any] = {
        "pool": drop.pool,
        "loop": str(pace),
        "seconds_target": drop.seconds,
        "seconds_to_sellout": took,
        **outcomes,
        "latency_ms": figures.percentiles(figures.latency_ms(answered)),
        "generator": _generator(drop),
        "capacity": _capacity(drop, took) if pace is Pace.CLOSED else None,
        "audit": drop.audit,
        "recount": {**drop.recount.as_dict(), "violations": drop.recount.violations()},
        "error_texts": _error_texts(drop.generators),
        "processes": {
            name: {**process, "cpu_us_per_request": round(process["cpu_seconds"] * us_each, 2)}
            for name, process in drop.processes.items()
        },
        "machine": machine.facts(),
        "commit": machine.commit(),
        "round": drop.round_id,
        "seed": drop.seed,
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    judgement = verdict.judge(body)
    series = figures.series(drop.rows, drop.export, drop.pool, drop.seconds, drop.server_ms_at_zero)
    return {"verdict": str(judgement.verdict), "reasons": judgement.reasons, **body, "series": series}


def _generator(drop: DropResult) -> dict[str, Any]:
    """The generators' own performance; of several, the worst."""
    late = late_by(drop.rows, drop.generators)
    generators = drop.generators
    waits = [g.runqueue_fraction for g in generators if g.runqueue_fraction is not None]
    return {
        "late_fraction": round(lateness.late_fraction(late), 6),
        "cpu_fraction": round(max(g.cpu_fraction for g in generators), 4),
        "busiest_cpu_fraction": round(max(g.busiest_cpu_fraction for g in generators), 4),
        "runqueue_fraction": round(max(waits), 4) if waits else None,
        "late_ms": figures.percentiles(late * 1000),
        "blind_spells": sum(len(g.blind) for g in generators),
        "processes": len(generators),
        "connections": sum(g.connections for g in generators),
        "app_users": sum(g.app_users for g in generators),
        "app_retries": sum(g.app_retries for g in generators),
        "clock_error_ms": round(max(g.clock_error_ms for g in generators), 3),
    }


def _capacity(drop: DropResult, took: float | None) -> dict[str, Any]:
    """Packs a second, and the busiest process where claimd runs on this machine.

    By each process's busiest 5 s, as its mean includes the time before the opening.
    """
    shares = {name: process["busiest_cpu_fraction"] for name, process in drop.processes.items() if name != "locust"}
    busiest = None
    if shares:
        shares["generator"] = max(g.busiest_cpu_fraction for g in drop.generators)
        busiest = max(shares, key=lambda name: shares[name])
    return {
        "packs_per_second": round(drop.pool / took) if took else None,
        "busiest": busiest,
        "busiest_cpu_fraction": shares[busiest] if busiest else None,
    }


def late_by(rows: Rows, generators: list[Done]) -> Floats:
    """Seconds by which each request of the crowd was late by its generator's own doing.

    `rows` are the generators' rows one after the other, each crowd first and its app users after.
    """
    parts, start = [], 0
    for done in generators:
        crowd = rows[start : start + done.crowd_rows]
        crowd = crowd[~np.isnan(crowd["sent"])]
        blind = [lateness.BlindSpell(begin, end) for begin, end in done.blind]
        parts.append(lateness.own_lateness(crowd["intended"], crowd["sent"], crowd["free_since"], blind))
        start += done.crowd_rows + done.app_users
    return np.concatenate(parts) if parts else np.zeros(0)


def _error_texts(generators: list[Done]) -> dict[str, int]:
    texts: dict[str, int] = {}
    for done in generators:
        for text, count in done.errors.items():
            texts[text] = texts.get(text, 0) + count
    return dict(sorted(texts.items(), key=lambda entry: -entry[1])[:20])


def write(report: dict[str, Any], folder: Path) -> None:
    """Write both files, and point `latest` beside the folder to it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(report, indent=2, allow_nan=False) + "\n")
    (folder / "report.html").write_text(render(report))
    if folder.parent == commandline.OUT:
        fresh = commandline.OUT / ".latest"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(folder.name, target_is_directory=True)
        fresh.replace(commandline.OUT / "latest")


def render(report: dict[str, Any]) -> str:
    """The page as HTML: one file with its charts, which needs no network."""
    # Imported here: it takes half a second, and only a finished drop needs it.
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    template = environment.get_template("report.html.j2")
    return template.render(
        report=report,
        pace=describe_pace(report["seconds_target"]),
        tolerance=verdict.tolerance_seconds(report["seconds_target"]),
        plotly_js=get_plotlyjs(),
    )
