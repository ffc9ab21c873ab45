"""All answers that one claimant received, combined: one number for each claimant in every column."""

from dataclasses import dataclass

import numpy as np

from loadtest.client.answers import REFUSALS, SHOWING, UNKNOWN, Answer, is_one_of
from loadtest.history.columns import Floats, Ints, Mask
from loadtest.history.operations import Operations


@dataclass(frozen=True, slots=True)
class Claimants:
    """Columns with one row for each of `Operations.identities`. Times are seconds of the operations' clock."""

    grants: Ints
    """How many 201 the claimant received."""
    replays: Ints
    """How many 200 the claimant received."""
    sold_out: Mask
    """Whether the claimant ever received `sold_out`."""
    in_doubt: Mask
    """Whether any outcome is unknown, so that the claimant may hold a claim without an answer for it."""
    unsettled: Mask
    """Whether an outcome is unknown and no later answer settled it: only the export shows it."""
    refused_from: Floats
    """Start of the last operation that was refused: the claimant held nothing before. -inf without one."""
    acknowledged_by: Floats
    """End of the first operation, look-ups included, that returned a claim: held from then on. inf without one."""
    granted_from: Floats
    """Earliest moment at which the claim can have been granted; -inf where no operation can have been granted."""

    @classmethod
    def of(cls, operations: Operations) -> "Claimants":
        """Combine the operations of each claimant."""
        number, row, answer = len(operations.identities), operations.claimant, operations.answer

        def counted(which: Mask) -> Ints:
            return np.bincount(row[which], minlength=number)

        def earliest(moments: Floats, which: Mask) -> Floats:
            found = np.full(number, np.inf)
            np.minimum.at(found, row[which], moments[which])
            return found

        def latest(moments: Floats, which: Mask) -> Floats:
            return -earliest(-moments, which)

        granted, replayed = answer == Answer.GRANTED, answer == Answer.REPLAYED
        unknown, refused = is_one_of(answer, UNKNOWN), is_one_of(answer, REFUSALS)
        shown = is_one_of(answer, SHOWING)
        acknowledged_by = earliest(operations.end, shown)
        refused_from = latest(operations.start, refused)
        # A 201 was granted by that very request. Without one the grant was made by any request that received 200, as a
        # gateway may repeat its call, or by any with an unknown outcome; never by one that was refused or reached no
        # batch.
        first_granted = earliest(operations.start, granted)
        first_possible = earliest(operations.start, replayed | unknown)
        granted_from = np.where(np.isinf(first_granted), first_possible, first_granted)
        never = np.isposinf(granted_from)
        return cls(
            grants=counted(granted),
            replays=counted(replayed),
            sold_out=counted(answer == Answer.SOLD_OUT) > 0,
            in_doubt=counted(unknown) > 0,
            unsettled=(latest(operations.start, unknown) > refused_from) & (counted(shown) == 0),
            refused_from=refused_from,
            acknowledged_by=acknowledged_by,
            granted_from=np.where(never, -np.inf, np.maximum(granted_from, refused_from)),
        )

    def without(self, which: Mask) -> "Claimants":
        """The same, with nothing to compare for some: those who held several claims, as one of them was voided."""
        return Claimants(
            grants=np.where(which, 0, self.grants),
            replays=np.where(which, 0, self.replays),
            sold_out=self.sold_out & ~which,
            in_doubt=self.in_doubt | which,
            unsettled=self.unsettled & ~which,
            refused_from=np.where(which, -np.inf, self.refused_from),
            acknowledged_by=np.where(which, np.inf, self.acknowledged_by),
            granted_from=np.where(which, -np.inf, self.granted_from),
        )
