"""Counts as named integers, the form in which the server keeps them, and back. No other module spells a counter.

`claims:<round>:<outcome>`, `refusals:<code>`, `unauthenticated:<reason>`, `failed_calls`, and for each histogram
`<name>:<bound>` (values up to the bound and above the one before) and `<name>:sum`, in millionths.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from claimd.metrics.counts import Counts, Histogram

_MILLIONTHS = 1_000_000
_ABOVE_ALL = "inf"
_CLAIMS, _REFUSALS, _UNAUTHENTICATED = "claims", "refusals", "unauthenticated"
_FAILED_CALLS = "failed_calls"


def counters(counts: Counts) -> dict[str, int]:
    """Every counter that is not 0."""
    spelled = {f"{_CLAIMS}:{round_id}:{outcome}": n for (round_id, outcome), n in counts.claims.items()}
    spelled |= {f"{_REFUSALS}:{code}": n for code, n in counts.refusals.items()}
    spelled |= {f"{_UNAUTHENTICATED}:{reason}": n for reason, n in counts.unauthenticated.items()}
    spelled[_FAILED_CALLS] = counts.failed_calls
    for name, histogram in counts.histograms().items():
        spelled |= dict(_histogram_counters(name, histogram))
    return {name: value for name, value in spelled.items() if value > 0}


def add_counters(counts: Counts, saved: Mapping[bytes, bytes]) -> bool:
    """Add saved counters to `counts`. Returns False where a value is no number, and leaves that value out.

    An unknown name is that of another version, and is passed over.
    """
    all_read = True
    histograms = counts.histograms()
    for name, text in saved.items():
        if not text.isdigit():
            all_read = False
            continue
        kind, _, rest = name.decode(errors="replace").partition(":")
        if kind in histograms:
            _add_to_histogram(histograms[kind], rest, int(text))
        elif kind == _FAILED_CALLS:
            counts.failed_calls += int(text)
        else:
            _add_labelled(counts, kind, rest, int(text))
    return all_read


def add_old_snapshot(counts: Counts, text: bytes) -> int | None:
    """Add the JSON that a gateway before 0.1.0 saved. Returns its time of saving in ms; None for unreadable JSON.

    A histogram with other bounds than today's is left out.
    """
    # Into separate counts first, so that JSON which is unreadable half-way adds nothing.
    found = Counts()
    try:
        data = orjson.loads(text)
        at_ms = int(data["at_ms"])
        _read_old(found, data)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    counts.merge(found)
    return at_ms


def round_of(counter: str) -> str | None:
    """The round of a counter; None for a counter of all rounds."""
    kind, _, rest = counter.partition(":")
    return rest.partition(":")[0] or None if kind == _CLAIMS else None


def settled(counter: str) -> str:
    """The name of the sum, over all rounds that are over, into which a counter of one round is moved."""
    return f"{_CLAIMS}::{counter.rpartition(':')[2]}"


def _histogram_counters(name: str, histogram: Histogram) -> Iterator[tuple[str, int]]:
    for bound, n in zip([*map(str, histogram.bounds), _ABOVE_ALL], histogram.counts, strict=True):
        yield f"{name}:{bound}", n
    yield f"{name}:sum", int(histogram.total * _MILLIONTHS)


def _add_to_histogram(histogram: Histogram, what: str, value: int) -> None:
    if what == "sum":
        histogram.total += value / _MILLIONTHS
        return
    try:
        # Another version's bound counts for the next larger one of today's.
        histogram.counts[bisect_left(histogram.bounds, float(what))] += value
    except ValueError:
        return


def _add_labelled(counts: Counts, kind: str, label: str, value: int) -> None:
    if kind == _CLAIMS:
        round_id, _, outcome = label.partition(":")
        counts.claims[round_id, outcome] += value
    elif kind == _REFUSALS:
        counts.refusals[label] += value
    elif kind == _UNAUTHENTICATED:
        counts.unauthenticated[label] += value


def _read_old(counts: Counts, data: dict[str, Any]) -> None:
    counts.failed_calls = int(data.get("failed_calls", 0))
    counts.claims.update({(str(round_id), str(outcome)): int(n) for round_id, outcome, n in data["claims"]})
    counts.refusals.update(Counter({str(code): int(n) for code, n in data["refusals"].items()}))
    for name, histogram in counts.histograms().items():
        saved, total = data["histograms"].get(name, ([], 0.0))
        if len(saved) == len(histogram.counts):
            histogram.add([int(n) for n in saved], float(total))
