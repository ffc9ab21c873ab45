"""Compares the answers of all clients, the export and, where available, the log of one round.

It uses neither claimd's counters nor its audit as evidence. Everything is columns, so that millions of operations take
seconds and forged inputs can be tried. A run with faults must raise no false alarm: a claim with an unknown outcome may
have been granted at any time after its request was sent.
"""

from typing import Any

import numpy as np

from loadtest.history import consistency, rules, sequence
from loadtest.history.claimants import Claimants
from loadtest.history.columns import find_rows
from loadtest.history.export import Export
from loadtest.history.log import Log
from loadtest.history.operations import Operations
from loadtest.history.recount import Recount
from loadtest.history.timeline import Grants, Timeline
from loadtest.history.visits import Visits, look_ups
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
    visits: Visits | None = None,
) -> Recount:
    """Count every violation in the history of one round.

    `pool` is the total of a round that was never edited; with a `log` the total is taken from there. `skew_seconds`
    bounds how far the clocks of the processes that recorded the operations may differ. `gateways_repeat` is for runs in
    which a gateway may repeat a batch whose reply was lost. `visits` are the other requests of whole visits.
    Raises ValueError without pool and log.
    """
    if log is None and pool is None:
        raise ValueError("the stock comes from the pool or from the log: one is needed")
    timeline = None if log is None else Timeline.of(log)
    stock, smallest_total = (pool, pool) if timeline is None else (timeline.total, timeline.smallest_total)
    total_rose = bool(export.voided.any()) or (timeline is not None and timeline.total_rose)
    owners = find_rows(operations.identities, export.identities)
    holders, had_voids = (np.zeros(len(operations.identities), bool) for _ in range(2))
    holders[owners[owners >= 0]] = True
    had_voids[owners[(owners >= 0) & export.voided]] = True
    claimants = Claimants.of(operations).without(had_voids)
    possible = sequence.possible_from(owners, claimants)
    counts: dict[str, Any] = {
        "exported": len(export),
        **rules.totals(operations, claimants),
        **consistency.export_violations(export, stock),
        **rules.answers_against_export(export, operations, claimants, owners, had_voids),
        **rules.answers_of_one_claimant(claimants, holders, total_rose, gateways_repeat),
        "refused_after_told": sequence.refused_after_acknowledged(claimants, skew_seconds),
        "out_of_order": sequence.claims_out_of_order(export, owners, claimants, skew_seconds),
        "sold_out_too_early": sequence.sold_out_too_early(
            export, operations, possible, smallest_total or 0, clock, skew_seconds
        ),
        "audit_disagrees": 0 if audit is None else consistency.audit_disagreements(audit, export, stock),
    }
    if visits is not None:
        counts |= visits.violations(export, clock)
        counts |= look_ups(export, owners, operations, claimants, clock, skew_seconds)
    if log is None or timeline is None:
        return Recount(**counts)
    return Recount(**counts | _log_violations(log, timeline, export, operations, clock, counts["oversold"]))


def _log_violations(
    log: Log, timeline: Timeline, export: Export, operations: Operations, clock: ServerClock | None, oversold: int
) -> dict[str, int]:
    """Count the violations that only a log shows. `oversold` is the export's own count; the larger one is returned."""
    found = timeline.violations
    names = (
        "log_malformed", "log_serials_broken", "voids_broken", "versions_broken", "total_below_issued",
        "granted_before_opening", "granted_while_closed", "granted_while_paused",
    )  # fmt: skip
    return {
        **{name: found[name] for name in names},
        "oversold": max(oversold, found["oversold"]),
        "log_disagrees": consistency.log_disagreements(export, Grants.of(log)),
        "voids_disagree": consistency.void_disagreements(export, log),
        **sequence.untrue_refusals(operations, timeline, clock),
    }
