"""What people were told against the export: whatever was said must be in it, whatever is in it must have been said."""

import numpy as np

from loadtest.client.answers import HOLDING, Answer, is_one_of
from loadtest.history.claimants import People
from loadtest.history.columns import Ints, Mask, count, find
from loadtest.history.export import Export
from loadtest.history.operations import Operations


def totals(operations: Operations, people: People) -> dict[str, int]:
    """How many were told what."""
    told = operations.told
    return {
        "told_granted": count(told == Answer.GRANTED),
        "told_replayed": count(told == Answer.REPLAYED),
        "unsettled": count(people.unsettled),
        "not_understood": count(told == Answer.WRONG),
    }


def told_and_exported(export: Export, operations: Operations, people: People, owners: Ints) -> dict[str, int]:
    """Each answer of a claim against the export, and each claim of the export against all answers.

    `owners[c]` is the person who holds claim c of the export, -1 for a stranger.
    """
    holding = is_one_of(operations.told, HOLDING)
    serials, person = operations.serial[holding], operations.person[holding]
    at = find(export.serials, serials)
    found = at >= 0
    at, person, told_ms = at[found], person[found], operations.claimed_at_ms[holding][found]
    anothers = export.identities[at] != operations.identities[person]
    untold = np.ones(len(export), bool)
    untold[at[~anothers]] = False
    unknown = untold & (owners >= 0) & people.in_doubt[owners]
    return {
        "told_but_not_exported": count(~found),
        "told_anothers": count(anothers),
        "told_another_time": count(export.claimed_at_ms[at] != told_ms),
        "unknown": count(unknown),
        "exported_but_untold": count(untold & ~unknown),
        "strangers": count(owners < 0),
        "replays_disagree": _disagreements(operations),
    }


def told_twice(people: People, holders: Mask, total_rose: bool, gateways_repeat: bool) -> dict[str, int | None]:
    """What the answers of one person say together; `holders` are those with a claim in the export."""
    unasked = (people.replays > 0) & (people.grants == 0) & ~people.in_doubt
    both = people.sold_out & (holders | (people.grants + people.replays > 0))
    return {
        "granted_twice": count(people.grants > 1),
        "never_granted": None if gateways_repeat else count(unasked),
        "refused_and_granted": None if total_rose else count(both),
    }


def _disagreements(operations: Operations) -> int:
    """People who were told more than one serial or time."""
    holding = is_one_of(operations.told, HOLDING)
    person = operations.person[holding]
    order = np.argsort(person, kind="stable")
    person, serial, at_ms = person[order], operations.serial[holding][order], operations.claimed_at_ms[holding][order]
    differs = (person[1:] == person[:-1]) & ((serial[1:] != serial[:-1]) | (at_ms[1:] != at_ms[:-1]))
    return len(np.unique(person[1:][differs]))
