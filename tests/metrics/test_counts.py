"""What is counted, saved and merged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimd.metrics.counts import Counts, Histogram, Snapshot
from claimd.metrics.reporter import Reporter


@given(st.lists(st.floats(0, 20, allow_nan=False)), st.floats(20, 30))
def test_ages_counted_at_once_are_ages_counted_one_by_one(since: list[float], now: float) -> None:
    """`observe_ages` is `observe` of each age, only cheaper."""
    since.sort()
    one_by_one, at_once = Histogram((0.5, 10.0, 15.0, 25.0)), Histogram((0.5, 10.0, 15.0, 25.0))
    for instant in since:
        one_by_one.observe(now - instant)
    at_once.observe_ages(now, since)
    assert at_once.counts == one_by_one.counts
    assert at_once.total == pytest.approx(one_by_one.total, abs=1e-6)


def some_counts() -> Counts:
    counts = Counts(queue_depth=4)
    counts.claims["r1", "granted"] += 3
    counts.refusals["unauthenticated"] += 2
    counts.latency_seconds.observe(0.004)
    counts.batch_claims.observe(17)
    return counts


def test_a_snapshot_reads_back_as_it_was() -> None:
    """Saved and loaded, nothing is lost."""
    loaded = Snapshot.load(Snapshot(5, some_counts()).dump())
    assert loaded.dump() == Snapshot(5, some_counts()).dump()


def test_a_snapshot_of_another_version_keeps_what_still_fits() -> None:
    """Histograms with other bounds are left out; the counters stay."""
    text = Snapshot(5, some_counts()).dump().replace(b'"batch_claims":[[', b'"batch_claims":[[9,')
    loaded = Snapshot.load(text)
    assert sum(loaded.counts.batch_claims.counts) == 0
    assert loaded.counts.claims["r1", "granted"] == 3


class Shelf:
    """Keeps counts in a dict."""

    def __init__(self) -> None:
        self.saved: dict[str, bytes] = {}

    async def save_counts(self, worker: str, counts: bytes) -> None:
        self.saved[worker] = counts

    async def load_counts(self) -> dict[str, bytes]:
        return self.saved


async def test_a_restarted_worker_goes_on_counting_where_it_stopped() -> None:
    """Counters never go down: the first report of a new process takes up what the old one had saved."""
    shelf = Shelf()
    await Reporter(shelf, "host-0", some_counts(), lambda: 0).report()
    after = Reporter(shelf, "host-0", some_counts(), lambda: 0)
    await after.report()
    await after.report()
    assert Snapshot.load(shelf.saved["host-0"]).counts.claims["r1", "granted"] == 6
