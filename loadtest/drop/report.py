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
from loadtest.crowd.schedule import CLAIMS
from loadtest.drop import figures, verdict
from loadtest.drop.messages import Done
from loadtest.drop.sizes import Visits
from loadtest.drop.visits import figures as visit_figures
from loadtest.drop.visits.figures import Evening
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
    heads: str
    evening: Evening | None = None
    """Of a drop with whole visits."""


def build(drop: DropResult) -> dict[str, Any]:
    """The report as a dict, verdict first."""
    claims = drop.rows[np.isin(drop.rows["kind"], CLAIMS)]
    answered = figures.answered(claims)
    took, outcomes = figures.seconds_to_sellout(drop.export, drop.pool), figures.outcomes(claims)
    pace, us_each = pace_of(drop.seconds), 1e6 / max(1, int(np.count_nonzero(~np.isnan(drop.rows["sent"]))))
    late, evening = late_by(drop.rows, drop.generators), drop.evening
    body: dict[str, Any] = {
        "pool": drop.pool,
        "loop": str(pace),
        "seconds_target": drop.seconds,
        "seconds_to_sellout": took,
        **outcomes,
        "latency_ms": figures.percentiles(figures.latency_ms(answered)),
        "generator": _generator(drop, late),
        "capacity": _capacity(drop, took) if pace is Pace.CLOSED else None,
        "gathering": visit_figures.gathering(drop.rows, late, evening, drop.generators) if evening else None,
        "beside_drop": visit_figures.beside(drop.rows, late) if evening else None,
        "audit": drop.audit,
        "recount": {**drop.recount.as_dict(), "violations": drop.recount.violations()},
        "error_texts": _error_texts(drop.generators),
        "processes": {
            name: {**process, "cpu_us_per_request": round(process["cpu_seconds"] * us_each, 2)}
            for name, process in drop.processes.items()
        },
        "machine": machine.facts(),
        "commit": machine.commit(),
        "visits": str(Visits.WHOLE if evening else Visits.NONE),
        "heads": drop.heads,
        "round": drop.round_id,
        "seed": drop.seed,
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    judgement = verdict.judge(body)
    series = figures.series(claims, drop.export, drop.pool, drop.seconds, drop.server_ms_at_zero)
    return {"verdict": str(judgement.verdict), "reasons": judgement.reasons, **body, "series": series}


def _generator(drop: DropResult, late: Floats) -> dict[str, Any]:
    """The generators' own performance; of several, the worst. Its lateness is that of the claims."""
    generators = drop.generators
    sent = ~np.isnan(late)
    late = late[sent & np.isin(drop.rows["kind"], CLAIMS)]
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
    """Seconds by which each request was late by its generator's own doing; NaN for app users and what was not sent.

    `rows` are the generators' rows one after the other, each crowd first and its app users after.
    """
    late, start = np.full(len(rows), np.nan), 0
    for done in generators:
        crowd = np.arange(start, start + done.crowd_rows)
        crowd = crowd[~np.isnan(rows["sent"][crowd])]
        # Whole visits have requests that were due earlier than they could be sent.
        crowd = crowd[np.argsort(rows["sent"][crowd], kind="stable")]
        blind = [lateness.BlindSpell(begin, end) for begin, end in done.blind]
        sent = rows[crowd]
        late[crowd] = lateness.own_lateness(sent["intended"], sent["sent"], sent["free_since"], blind)
        start += done.crowd_rows + done.app_users
    return late


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
