"""Real time: an operation that ended before another began took effect before it; overlapping ones in any order.

Needs no server clock: it compares moments of the operations with each other. Where several processes recorded them,
two moments may differ by up to `skew` seconds.
"""

import numpy as np

from loadtest.client.answers import Answer
from loadtest.history.claimants import Claimants
from loadtest.history.columns import Floats, Ints, Mask, count_true
from loadtest.history.export import Export
from loadtest.history.operations import Operations
from loadtest.history.timeline import Timeline
from loadtest.target.clock import ServerClock


def claims_out_of_order(export: Export, owners: Ints, claimants: Claimants, skew: float) -> int:
    """Count the claims acknowledged before one of their own or a lower serial can have been granted.

    Without any, the grants are linearizable: there is an order by serial that fits real time.
    """
    order = np.argsort(export.serials, kind="stable")
    acknowledged_by = np.where(owners < 0, np.inf, claimants.acknowledged_by[owners])[order]
    if not len(order):
        return 0
    possible_by_serial = np.maximum.accumulate(possible_from(owners, claimants)[order])
    return count_true(possible_by_serial > acknowledged_by + skew)


def refused_after_acknowledged(claimants: Claimants, skew: float) -> int:
    """Count the claimants whose request was refused although it began after their claim was acknowledged."""
    return count_true(claimants.refused_from > claimants.acknowledged_by + skew)


def possible_from(owners: Ints, claimants: Claimants) -> Floats:
    """Return the earliest moment at which each claim of the export can have been granted; -inf for unknown owners."""
    return np.where(owners < 0, -np.inf, claimants.granted_from[owners])


def sold_out_too_early(
    export: Export,
    operations: Operations,
    possible: Floats,
    smallest_total: int,
    clock: ServerClock | None,
    skew: float,
) -> int:
    """Count the answers `sold_out` that arrived before as many claims as the smallest total can have been granted."""
    ended = operations.end[operations.answer == Answer.SOLD_OUT]
    early = _count_until(possible, ended + skew) < smallest_total
    if clock is not None:
        early |= _count_until(export.claimed_at_ms, clock.ms(ended) + clock.error_ms) < smallest_total
    return count_true(early)


def untrue_refusals(operations: Operations, timeline: Timeline, clock: ServerClock | None) -> dict[str, int]:
    """Count the refusals whose reason never held by the log. Window edges are compared where the clock is known."""
    answer = operations.answer
    not_open, paused, closed = answer == Answer.NOT_OPEN, answer == Answer.PAUSED, answer == Answer.CLOSED
    return {
        "not_open_untruly": count_true(not_open & _opened_before(operations.start, timeline, clock)),
        "paused_untruly": 0 if timeline.ever_paused else count_true(paused),
        "closed_untruly": (
            0 if timeline.ever_closed else count_true(closed & _open_until(operations.end, timeline, clock))
        ),
    }


def _opened_before(moments: Floats, timeline: Timeline, clock: ServerClock | None) -> Mask:
    """Return the moments at which the last opening had certainly passed."""
    if not timeline.ever_scheduled or clock is None:
        return np.full(len(moments), not timeline.ever_scheduled)
    opened: Mask = clock.ms(moments) - clock.error_ms >= timeline.latest_opening_ms
    return opened


def _open_until(moments: Floats, timeline: Timeline, clock: ServerClock | None) -> Mask:
    """Return the moments at which the first closing was certainly still ahead; none without a clock."""
    if clock is None:
        return np.zeros(len(moments), bool)
    ahead: Mask = clock.ms(moments) + clock.error_ms < timeline.earliest_closing_ms
    return ahead


def _count_until(moments: Floats | Ints, until: Floats) -> Ints:
    """Return for each of `until` how many of `moments` lie at or before it."""
    return np.searchsorted(np.sort(moments), until, side="right")
