"""Real time: what was over before something else began must have come before it, whatever overlaps may be in any order.

Clock-free: it compares moments of the operations with each other alone. Moments of two processes may be `skew` apart.
"""

import numpy as np

from loadtest.client.answers import Answer
from loadtest.history.claimants import People
from loadtest.history.columns import Floats, Ints, Mask, count
from loadtest.history.export import Export
from loadtest.history.operations import Operations
from loadtest.history.timeline import Course
from loadtest.target.clock import ServerClock


def claims_in_order(export: Export, owners: Ints, people: People, skew: float) -> int:
    """Grants are linearizable if no claim was told before one of its own serial or a lower could be granted."""
    order = np.argsort(export.serials, kind="stable")
    told_by = np.where(owners < 0, np.inf, people.told_by[owners])[order]
    reached = np.maximum.accumulate(possible_from(owners, people)[order]) if len(order) else told_by
    return count(reached > told_by + skew)


def refused_after_told(people: People, skew: float) -> int:
    """People whose claim was forgotten again."""
    return count(people.refused_from > people.told_by + skew)


def possible_from(owners: Ints, people: People) -> Floats:
    """The earliest each claim of the export can have been granted; a stranger's at any time."""
    return np.where(owners < 0, -np.inf, people.granted_from[owners])


def too_early(
    export: Export,
    operations: Operations,
    possible: Floats,
    smallest_total: int,
    clock: ServerClock | None,
    skew: float,
) -> int:
    """Answers of "sold out" by whose end not even the smallest stock there ever was can have been granted."""
    ended = operations.end[operations.told == Answer.SOLD_OUT]
    early = _reached(possible, ended + skew) < smallest_total
    if clock is not None:
        early |= _reached(export.claimed_at_ms, clock.ms(ended) + clock.error_ms) < smallest_total
    return count(early)


def refused_untruly(operations: Operations, course: Course, clock: ServerClock | None) -> dict[str, int]:
    """Refusals for a reason the log does not know of. The window counts as far as the server's clock is known."""
    told = operations.told
    not_open, paused, closed = told == Answer.NOT_OPEN, told == Answer.PAUSED, told == Answer.CLOSED
    return {
        "not_open_untruly": count(not_open & _opened_before(operations.start, course, clock)),
        "paused_untruly": 0 if course.ever_paused else count(paused),
        "closed_untruly": 0 if course.ever_closed else count(closed & _open_until(operations.end, course, clock)),
    }


def _opened_before(moments: Floats, course: Course, clock: ServerClock | None) -> Mask:
    """At which moments the last opening was surely over."""
    if not course.ever_scheduled or clock is None:
        return np.full(len(moments), not course.ever_scheduled)
    opened: Mask = clock.ms(moments) - clock.error_ms >= course.latest_opening_ms
    return opened


def _open_until(moments: Floats, course: Course, clock: ServerClock | None) -> Mask:
    """At which moments the first closing was surely still ahead; without a clock nobody can be sure."""
    if clock is None:
        return np.zeros(len(moments), bool)
    ahead: Mask = clock.ms(moments) + clock.error_ms < course.earliest_closing_ms
    return ahead


def _reached(moments: Floats | Ints, until: Floats) -> Ints:
    """How many of `moments` lie at or before each of `until`."""
    return np.searchsorted(np.sort(moments), until, side="right")
