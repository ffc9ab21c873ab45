"""The one checker: what everybody was told, the export, and where it can be read the log, held against each other.

It trusts neither counters nor claimd's own audit. All is columns, so that millions take seconds and it can be tried on
forged inputs. A run with faults must raise no false alarm: what is unknown may have happened, at any time from then on.
"""

from typing import Any

import numpy as np

from loadtest.history import consistency, rules, sequence
from loadtest.history.claimants import People
from loadtest.history.columns import find
from loadtest.history.export import Export
from loadtest.history.log import Log
from loadtest.history.operations import Operations
from loadtest.history.recount import Recount
from loadtest.history.timeline import Course, Granted
from loadtest.target.clock import ServerClock


def check(
    export: Export,
    operations: Operations,
    *,
    pool: int | None = None,
    log: Log | None = None,
    audit: dict[str, Any] | None = None,
    clock: ServerClock | None = None,
    skew_seconds: float = 0.0,
    gateways_repeat: bool = False,
) -> Recount:
    """Decide whether one round kept its promises.

    `pool` is the total of a round that was never edited; with a `log` the total is what that says. `skew_seconds` is by
    how much the clocks of the processes that noted the operations may differ. `gateways_repeat` is for runs in which a
    gateway may send a batch again whose reply was lost. Raises ValueError without pool and log.
    """
    if log is None and pool is None:
        raise ValueError("the stock comes from the pool or from the log: one is needed")
    course = None if log is None else Course.along(log)
    stock, smallest = (pool, pool) if course is None else (course.total, course.smallest_total)
    total_rose = course is not None and course.total_rose
    people = People.of(operations)
    owners = find(operations.identities, export.identities)
    holders = np.zeros(len(operations.identities), bool)
    holders[owners[owners >= 0]] = True
    possible = sequence.possible_from(owners, people)
    counts: dict[str, Any] = {
        "exported": len(export),
        **rules.totals(operations, people),
        **consistency.export_alone(export, stock),
        **rules.told_and_exported(export, operations, people, owners),
        **rules.told_twice(people, holders, total_rose, gateways_repeat),
        "refused_after_told": sequence.refused_after_told(people, skew_seconds),
        "out_of_order": sequence.claims_in_order(export, owners, people, skew_seconds),
        "sold_out_too_early": sequence.too_early(export, operations, possible, smallest or 0, clock, skew_seconds),
        "audit_disagrees": 0 if audit is None else consistency.audit_disagreements(audit, export, stock),
    }
    if log is None or course is None:
        return Recount(**counts)
    return Recount(**counts | _by_the_log(log, course, export, operations, clock, counts["oversold"]))


def _by_the_log(
    log: Log, course: Course, export: Export, operations: Operations, clock: ServerClock | None, oversold: int
) -> dict[str, int]:
    broken = course.broken
    along = (
        "log_malformed", "log_serials_broken", "versions_broken", "total_below_issued",
        "granted_before_opening", "granted_while_closed", "granted_while_paused",
    )  # fmt: skip
    return {
        **{name: broken[name] for name in along},
        "oversold": max(oversold, broken["oversold"]),
        "log_disagrees": consistency.log_disagreements(export, Granted.of(log)),
        **sequence.refused_untruly(operations, course, clock),
    }
