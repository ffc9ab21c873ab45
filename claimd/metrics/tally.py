"""What is saved of all gateways, added up for a scrape."""

from collections import Counter
from dataclasses import dataclass, field

from claimd.metrics.counters import add_counters, add_old_snapshot
from claimd.metrics.counts import Counts
from claimd.store.saved_counts import SavedCounts

# Three times as long as an idle gateway stays silent (`reporter.QUIET_REPORTS`).
FRESH_MS = 15_000
# The run as which what version 0.1 saved is merged. No gateway has such a name.
OLD_RUN = "version-0.1"
# A counter of that run: where the past has it, the rest of what version 0.1 saved is in the past, too.
FOLDED = b"folded"


@dataclass(slots=True)
class Tally:
    """The sum of all counts. `settled` are claims by outcome of rounds that are over and are not counted one by one.

    `gateways` live, and `waiting` are their claims that wait for a batch. `unreadable` saves were left out, or a part
    of them.
    """

    counts: Counts = field(default_factory=Counts)
    settled: Counter[str] = field(default_factory=Counter)
    gateways: int = 0
    waiting: int = 0
    unreadable: int = 0


def tally(saved: SavedCounts) -> Tally:
    """Add everything up. Never raises for what is saved, whatever it is."""
    result = Tally()
    result.unreadable += not add_counters(result.counts, saved.past)
    for run in saved.runs:
        if run.name == OLD_RUN:
            # Not folded in yet, so `old` is what counts.
            continue
        readable = run.counters is not None and add_counters(result.counts, run.counters)
        result.unreadable += not readable
        _live(result, abs(saved.now_ms - run.seen_ms), run.waiting)
    old_counts = Counts() if FOLDED in saved.past else result.counts
    for text in saved.old.values():
        at_ms = add_old_snapshot(old_counts, text)
        result.unreadable += at_ms is None
        if at_ms is not None:
            _live(result, abs(saved.now_ms - at_ms), 0)
    for round_id, outcome in [key for key in result.counts.claims if not key[0]]:
        result.settled[outcome] += result.counts.claims.pop((round_id, outcome))
    return result


def _live(result: Tally, silence_ms: int, waiting: int) -> None:
    if silence_ms < FRESH_MS:
        result.gateways += 1
        result.waiting += waiting
