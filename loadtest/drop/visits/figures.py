"""The report's figures of whole visits: the gathering before the opening, and what people ask beside their claims."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from loadtest.client.answers import UNKNOWN, Answer, is_one_of
from loadtest.crowd import lateness
from loadtest.crowd.arrivals import Floats
from loadtest.crowd.records import Rows
from loadtest.crowd.schedule import CLAIMS, Kind
from loadtest.drop import figures
from loadtest.drop.messages import Done
from loadtest.history.columns import Mask
from loadtest.target.server_calls import ServerCalls

# The requests of a visit in their order: a name for the report, the kind, and whether it is due before the opening.
_REQUESTS: Final = (
    ("round", Kind.ROUND, True),
    ("pass", Kind.PASS, True),
    ("round_again", Kind.LOOK, True),
    ("claims_me", Kind.MINE, False),
    ("round_during_drop", Kind.LOOK, False),
)


@dataclass(frozen=True, slots=True)
class Evening:
    """What a drop with whole visits has beside its rows."""

    gathering_seconds: float
    people: int
    algorithm: str
    server_calls: ServerCalls | None


def gathering_of(rows: Rows) -> Mask:
    """The rows of the gathering: requests that are no claims, from before the opening."""
    return ~np.isin(rows["kind"], CLAIMS) & (rows["intended"] < 0)


def beside_of(rows: Rows) -> Mask:
    """The rows of the time from the opening on that are no claims."""
    return ~np.isin(rows["kind"], CLAIMS) & (rows["intended"] >= 0)


def gathering(rows: Rows, late: Floats, evening: Evening, generators: list[Done]) -> dict[str, Any]:
    """The report's part on the gathering: its requests, tokens, watchers, server calls, and the columns of its charts.

    `late` is by how many seconds each row was late by its generator's own doing, NaN where it was not sent.
    """
    mask = gathering_of(rows)
    buckets = figures.Buckets.over(rows[mask])
    calls = evening.server_calls.per_second(buckets.edges) if evening.server_calls else None
    visits = [done.visits for done in generators if done.visits is not None]
    return {
        "seconds": evening.gathering_seconds,
        "people": evening.people,
        **_part(rows, late, mask, before=True),
        "retries": sum(each["retries"] for each in visits),
        "tokens": _tokens(visits, evening.algorithm),
        "events": _events(visits),
        "server_calls_per_second": None if calls is None else {
            "mean": round(float(np.mean(calls)), 1), "peak": round(max(calls), 1),
        },
        "series": _series(rows[mask], buckets, calls),
    }  # fmt: skip


def beside(rows: Rows, late: Floats) -> dict[str, Any]:
    """The report's part on the requests beside the claims, from the opening on."""
    return _part(rows, late, beside_of(rows), before=False)


def _part(rows: Rows, late: Floats, mask: Mask, before: bool) -> dict[str, Any]:
    names = [(name, kind) for name, kind, gathers in _REQUESTS if gathers is before]
    return {
        **_figures(rows[mask], late[mask]),
        "requests": {
            name: _figures(rows[own], late[own]) for name, kind in names for own in [mask & (rows["kind"] == kind)]
        },
    }


def _figures(rows: Rows, late: Floats) -> dict[str, Any]:
    """Counts, rates, latency and lateness of some rows. Latency is of all answers, from when each request was due."""
    answers, sent = rows["answer"], ~np.isnan(rows["sent"])
    heard = figures.answered(rows)
    return {
        "asked": len(rows),
        "answered": len(heard),
        "unchanged": int(np.count_nonzero(answers == Answer.UNCHANGED)),
        "not_claimed": int(np.count_nonzero(answers == Answer.NOT_CLAIMED)),
        "errors": int(np.count_nonzero(is_one_of(answers, UNKNOWN))),
        "peak_asked_per_second": _busiest_second(rows["intended"]),
        "peak_answered_per_second": _busiest_second(heard["done"]),
        "latency_ms": figures.percentiles(figures.latency_ms(heard)),
        "late_fraction": round(lateness.late_fraction(late[sent]), 6),
    }


def _busiest_second(moments: Floats) -> int:
    if not len(moments):
        return 0
    seconds = np.floor(moments).astype(np.int64)
    return int(np.bincount(seconds - seconds.min()).max())


def _tokens(visits: list[dict[str, Any]], algorithm: str) -> dict[str, Any]:
    count = sum(each["tokens"]["count"] for each in visits)
    seconds = max((each["tokens"]["seconds"] for each in visits), default=0.0)
    return {"algorithm": algorithm, "count": count, "seconds": seconds}


def _events(visits: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The watchers of all generators; None where people watch nothing."""
    watched = [each["events"] for each in visits if each["events"] is not None]
    if not watched:
        return None
    return {
        "left_out": next((each["left_out"] for each in watched if each["left_out"]), None),
        **{name: sum(each[name] for each in watched) for name in ("watchers", "streams", "events", "errors")},
    }


def _series(rows: Rows, buckets: figures.Buckets, calls: list[float] | None) -> dict[str, Any]:
    """The columns of the charts: for each stretch of the gathering its end, rates by request, and latencies."""
    heard = figures.answered(rows)
    waits = figures.latency_ms(heard)
    names = {"round": Kind.ROUND, "pass": Kind.PASS, "round_again": Kind.LOOK}
    wrong = is_one_of(heard["answer"], UNKNOWN)
    return {
        "at": [round(float(edge), 2) for edge in buckets.edges[1:]],
        "width": buckets.width,
        "asked": buckets.rate(rows["intended"]),
        "errors": buckets.rate(heard["done"][wrong]),
        "server_calls": calls,
        **{
            name: buckets.rate(heard["done"][(heard["kind"] == kind) & ~wrong]) for name, kind in names.items()
        },
        **{
            f"{name}_p99": buckets.percentile(
                heard["intended"][heard["kind"] == kind], waits[heard["kind"] == kind], 99
            )
            for name, kind in names.items()
        },
        "max": buckets.percentile(heard["intended"], waits, 100),
    }  # fmt: skip
