"""The saved counts of all gateways, added up for a scrape."""

from collections import Counter
from dataclasses import dataclass, field

from claimd.metrics.counters import add_counters, add_old_snapshot
from claimd.metrics.counts import Counts
from claimd.store.saved_counts import SavedCounts

# Three times the pause between two saves of an idle gateway (`reporter.QUIET_REPORTS`).
FRESH_MS = 15_000
# The name of the run that has the counts of builds before 0.1.0 while they are merged. No gateway has such a name.
OLD_RUN = "version-0.1"
# A counter of that run: where the past has it, the past also has the other counts of version 0.1.
FOLDED = b"folded"


@dataclass(slots=True)
class Tally:
    """The sum of all counts. `settled` has the claims, by outcome, of rounds that are over, as one sum over these.

    `gateways` is the number of live gateways, `waiting` that of their claims that wait for a batch, and `unreadable`
    that of saves that were left out, wholly or in part.
    """

    counts: Counts = field(default_factory=Counts)
    settled: Counter[str] = field(default_factory=Counter)
    gateways: int = 0
    waiting: int = 0
    unreadable: int = 0


def tally(saved: SavedCounts) -> Tally:
    """Add up all saved counts. Raises nothing, whatever is saved."""
    result = Tally()
    result.unreadable += not add_counters(result.counts, saved.past)
    for run in saved.runs:
        if run.name == OLD_RUN:
            # Not a part of the past yet, so `old` is counted.
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
