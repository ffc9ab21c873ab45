"""The figures of the report, computed from rows and export: latencies, rates and stock over time."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from loadtest.client.answers import UNKNOWN, Answer, is_one_of
from loadtest.crowd.arrivals import Floats
from loadtest.crowd.records import Rows
from loadtest.drop.judge import REFUSED
from loadtest.history.export import Export

PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9, "max": 100.0}
_MOST_BUCKETS: Final = 160
_BUCKET_WIDTHS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 600.0)


def answered(rows: Rows) -> Rows:
    """The rows that have an answer of any kind."""
    heard: Rows = rows[~np.isnan(rows["done"])]
    return heard


def latency_ms(rows: Rows) -> Floats:
    """Milliseconds from the intended time to the answer."""
    return np.asarray((rows["done"] - rows["intended"]) * 1000, np.float64)


def percentiles(values: Floats) -> dict[str, float]:
    """p50, p90, p99, p999 and max, to a hundredth; all 0 for no values."""
    if not len(values):
        return dict.fromkeys(PERCENTILES, 0.0)
    found = np.percentile(values, list(PERCENTILES.values()))
    return {name: round(float(value), 2) for name, value in zip(PERCENTILES, found, strict=True)}


def outcomes(rows: Rows) -> dict[str, int]:
    """How many requests were sent, and their answers by kind."""
    counts = np.bincount(rows["answer"], minlength=len(Answer))
    sent = ~np.isnan(rows["sent"])
    return {
        "offered": int(np.count_nonzero(sent)),
        "granted": int(counts[Answer.GRANTED]),
        "replayed": int(counts[Answer.REPLAYED]),
        "sold_out": int(counts[Answer.SOLD_OUT]),
        "refused": int(sum(counts[code] for code in REFUSED)),
        "errors": int(np.count_nonzero(is_one_of(rows["answer"], UNKNOWN))),
    }


def seconds_to_sellout(export: Export, pool: int) -> float | None:
    """From the first grant to the last, by the server's clock; None where packs are left."""
    if len(export) < pool or not len(export):
        return None
    return float(export.claimed_at_ms.max() - export.claimed_at_ms.min()) / 1000


@dataclass(frozen=True, slots=True)
class Buckets:
    """Equal stretches of the run, in seconds after the opening, and what to count in them."""

    edges: Floats
    width: float

    @classmethod
    def over(cls, rows: Rows, shortest: float = 0.0) -> "Buckets":
        """Stretches that cover every row, few enough to draw."""
        done = rows["done"][~np.isnan(rows["done"])]
        first = min(0.0, float(rows["intended"].min(initial=0.0)))
        last = max(shortest, float(done.max(initial=0.0)))
        width = next((w for w in _BUCKET_WIDTHS if (last - first) / w <= _MOST_BUCKETS), _BUCKET_WIDTHS[-1])
        start = np.floor(first / width) * width
        count = int(np.ceil((last - start) / width)) + 1
        return cls(start + np.arange(count + 1) * width, width)

    def rate(self, moments: npt.NDArray[Any]) -> list[float]:
        """How many of `moments` a second, in each stretch."""
        counts, _ = np.histogram(moments, self.edges)
        return [round(float(count) / self.width, 2) for count in counts]

    def percentile(self, moments: npt.NDArray[Any], values: Floats, percent: float) -> list[float | None]:
        """A percentile of `values` in each stretch; None where there are none."""
        order = np.argsort(moments, kind="stable")
        ends = np.searchsorted(moments[order], self.edges)
        values = values[order]
        return [
            round(float(np.percentile(values[low:high], percent)), 3) if high > low else None
            for low, high in pairwise(ends.tolist())
        ]


def series(rows: Rows, export: Export, pool: int, seconds: float, server_ms_at_zero: float) -> dict[str, Any]:
    """The columns of the charts: for each stretch of the run its end, the stock left then, rates and latencies."""
    buckets = Buckets.over(rows, seconds)
    heard = answered(rows)
    answers, done = heard["answer"], heard["done"]
    granted_at = np.sort((export.claimed_at_ms - server_ms_at_zero) / 1000)
    waits = latency_ms(heard)
    sent = rows[~np.isnan(rows["sent"])]
    return {
        "at": [round(float(edge), 2) for edge in buckets.edges[1:]],
        "width": buckets.width,
        "remaining": [pool - int(count) for count in np.searchsorted(granted_at, buckets.edges[1:], side="right")],
        "intended": buckets.rate(rows["intended"]),
        "offered": buckets.rate(sent["sent"]),
        "granted": buckets.rate(done[answers == Answer.GRANTED]),
        "replayed": buckets.rate(done[answers == Answer.REPLAYED]),
        "sold_out": buckets.rate(done[answers == Answer.SOLD_OUT]),
        "refused": buckets.rate(done[is_one_of(answers, REFUSED)]),
        "errors": buckets.rate(done[is_one_of(answers, UNKNOWN)]),
        "p50": buckets.percentile(heard["intended"], waits, 50),
        "p90": buckets.percentile(heard["intended"], waits, 90),
        "p99": buckets.percentile(heard["intended"], waits, 99),
        "max": buckets.percentile(heard["intended"], waits, 100),
    }
