"""The counts of one gateway: plain integers, updated once a batch; `counters.py` spells them for the server.

Metrics of prometheus-client would cost microseconds for every claim, and are merged over one machine only.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_CLAIMS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)


class Histogram:
    """The number of values up to each bound and above the one before; the last is that of values above all bounds."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value, in the unit of the bounds."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def observe_ages(self, now: float, since: Sequence[float]) -> None:
        """Count `now - s` for each `s` of an ascending sequence, with one bisection a bound instead of one a value."""
        counts, upper = self.counts, len(since)
        for index, bound in enumerate(self.bounds):
            older = bisect_left(since, now - bound, 0, upper)
            counts[index] += upper - older
            upper = older
            if not upper:
                break
        counts[-1] += upper
        self.total += now * len(since) - sum(since)

    def add(self, counts: Sequence[int], total: float) -> None:
        """Add the counts of another histogram with the same bounds."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, counts, strict=True)]
        self.total += total


@dataclass(slots=True)
class Counts:
    """Counters that only ever grow while the process lives. `claims` is by round and outcome, `refusals` by code,
    `unauthenticated` (a part of these) by reason. Each reason becomes a label: take it from a fixed set.
    """

    claims: Counter[tuple[str, str]] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    unauthenticated: Counter[str] = field(default_factory=Counter)
    latency_seconds: Histogram = field(default_factory=lambda: Histogram(_SECONDS))
    round_trip_seconds: Histogram = field(default_factory=lambda: Histogram(_SECONDS))
    batch_claims: Histogram = field(default_factory=lambda: Histogram(_CLAIMS))
    failed_calls: int = 0

    def histograms(self) -> dict[str, Histogram]:
        """The histograms of a gateway by their names."""
        return {name: getattr(self, name) for name in ("latency_seconds", "round_trip_seconds", "batch_claims")}

    def merge(self, other: "Counts") -> None:
        """Add the counts of `other`."""
        self.claims.update(other.claims)
        self.refusals.update(other.refusals)
        self.unauthenticated.update(other.unauthenticated)
        for name, histogram in other.histograms().items():
            self.histograms()[name].add(histogram.counts, histogram.total)
        self.failed_calls += other.failed_calls
