"""The clients' answers compared with the export: acknowledged claims must be exported, exported ones acknowledged."""

import numpy as np

from loadtest.client.answers import SHOWING, Answer, is_one_of
from loadtest.history.claimants import Claimants
from loadtest.history.columns import Ints, Mask, count_true, find_rows
from loadtest.history.export import Export
from loadtest.history.operations import Operations


def totals(operations: Operations, claimants: Claimants) -> dict[str, int]:
    """Count the answers by kind, and the claimants whose outcome stays unknown."""
    answer = operations.answer
    return {
        "told_granted": count_true(answer == Answer.GRANTED),
        "told_replayed": count_true(answer == Answer.REPLAYED),
        "unsettled": count_true(claimants.unsettled),
        "not_understood": count_true(answer == Answer.WRONG),
    }


def answers_against_export(
    export: Export, operations: Operations, claimants: Claimants, owners: Ints, had_voids: Mask
) -> dict[str, int]:
    """Compare each answer that returned a claim with the export, and each claim of the export with all answers.

    `had_voids` marks the claimants one of whose claims was voided: they may have been shown several claims.

    `owners[c]` is the claimant that holds claim c of the export, -1 for an identity that is not among the operations.
    """
    holding = is_one_of(operations.answer, SHOWING)
    serials, claimant = operations.serial[holding], operations.claimant[holding]
    rows = find_rows(export.serials, serials)
    exported = rows >= 0
    rows, claimant, answered_ms = rows[exported], claimant[exported], operations.claimed_at_ms[holding][exported]
    other_identity = export.identities[rows] != operations.identities[claimant]
    unacknowledged = np.ones(len(export), bool)
    unacknowledged[rows[~other_identity]] = False
    unknown = unacknowledged & (owners >= 0) & claimants.in_doubt[owners]
    return {
        "told_but_not_exported": count_true(~exported),
        "told_anothers": count_true(other_identity),
        "told_another_time": count_true(export.claimed_at_ms[rows] != answered_ms),
        "unknown": count_true(unknown),
        "exported_but_untold": count_true(unacknowledged & ~unknown),
        "strangers": count_true(owners < 0),
        "replays_disagree": _claimants_with_different_claims(operations, had_voids),
    }


def answers_of_one_claimant(
    claimants: Claimants, holders: Mask, total_rose: bool, gateways_repeat: bool
) -> dict[str, int | None]:
    """Compare the answers of each claimant with each other. `holders` marks those with a claim in the export.

    A count is None where the run cannot show it: a total that rose, gateways that repeat calls.
    """
    never_granted = (claimants.replays > 0) & (claimants.grants == 0) & ~claimants.in_doubt
    refused_and_granted = claimants.sold_out & (holders | (claimants.grants + claimants.replays > 0))
    return {
        "granted_twice": count_true(claimants.grants > 1),
        "never_granted": None if gateways_repeat else count_true(never_granted),
        "refused_and_granted": None if total_rose else count_true(refused_and_granted),
    }


def _claimants_with_different_claims(operations: Operations, had_voids: Mask) -> int:
    """Count the claimants whose answers name more than one serial or time."""
    holding = is_one_of(operations.answer, SHOWING) & ~had_voids[operations.claimant]
    claimant = operations.claimant[holding]
    order = np.argsort(claimant, kind="stable")
    claimant, serial = claimant[order], operations.serial[holding][order]
    at_ms = operations.claimed_at_ms[holding][order]
    differs = (claimant[1:] == claimant[:-1]) & ((serial[1:] != serial[:-1]) | (at_ms[1:] != at_ms[:-1]))
    return len(np.unique(claimant[1:][differs]))
