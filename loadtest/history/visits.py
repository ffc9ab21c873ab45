"""What a history of whole visits has beside claims: readings of the round, passes, and look-ups of claims."""

from dataclasses import dataclass

import numpy as np

from loadtest.client.answers import Answer, is_one_of
from loadtest.client.credentials import Identities
from loadtest.history.claimants import Claimants
from loadtest.history.columns import Ints, count_true
from loadtest.history.export import Export
from loadtest.history.operations import Operations
from loadtest.history.passes import IssuedPasses, wrong_passes
from loadtest.history.readings import Readings, untrue_readings
from loadtest.target.clock import ServerClock


@dataclass(frozen=True, slots=True)
class Visits:
    """The readings and passes of one round that was never edited; person p is `identities[p]`."""

    readings: Readings
    passes: IssuedPasses
    identities: Identities
    opens_at_ms: int
    closes_at_ms: int

    def violations(self, export: Export, clock: ServerClock | None) -> dict[str, int]:
        """Count the readings and passes, and what is wrong with them, by the names of `Recount`."""
        return {
            "readings": len(self.readings),
            "passes": len(self.passes),
            **untrue_readings(self.readings, export, self.opens_at_ms, clock),
            **wrong_passes(self.passes, self.identities, self.closes_at_ms),
        }


def look_ups(
    export: Export, owners: Ints, operations: Operations, claimants: Claimants, clock: ServerClock | None, skew: float
) -> dict[str, int]:
    """Count the look-ups of claims, and those that found none although the claim had been granted before they began.

    `owners[c]` is the claimant that holds claim c of the export, or -1. That a claim which is shown is the one in the
    export, `rules.answers_against_export` counts for look-ups and claims alike.
    """
    denied = operations.answer == Answer.NOT_CLAIMED
    start, claimant = operations.start[denied], operations.claimant[denied]
    untrue = start > claimants.acknowledged_by[claimant] + skew
    if clock is not None:
        granted_ms = np.full(len(operations.identities), np.inf)
        known = owners >= 0
        np.minimum.at(granted_ms, owners[known], export.claimed_at_ms[known])
        untrue |= granted_ms[claimant] < clock.ms(start) - clock.error_ms
    shown = is_one_of(operations.answer, (Answer.HELD, Answer.NOT_CLAIMED))
    return {"looked_up": count_true(shown), "not_claimed_untruly": count_true(untrue)}
