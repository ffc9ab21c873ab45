"""What each person was told, all their operations taken together: one number a person in every column."""

from dataclasses import dataclass

import numpy as np

from loadtest.client.answers import HOLDING, REFUSALS, UNKNOWN, Answer, is_one_of
from loadtest.history.columns import Floats, Ints, Mask
from loadtest.history.operations import Operations


@dataclass(frozen=True, slots=True)
class People:
    """Person p of the operations is row p of every column."""

    grants: Ints
    """How often they were told 201."""
    replays: Ints
    """How often they were told 200."""
    sold_out: Mask
    """Whether they were ever told so."""
    in_doubt: Mask
    """Whether one of their answers leaves it open if a claim was granted."""
    unsettled: Mask
    """Who had such an answer and, asking nothing later that was answered, cannot know: the export must tell."""
    refused_from: Floats
    """When the last operation that was refused began: until then they held nothing. -inf where none was."""
    told_by: Floats
    """When the first answer of a claim had come: from then on they held it. inf where none came."""
    granted_from: Floats
    """The earliest a claim of theirs can have been granted; -inf where no operation can have been granted one."""

    @classmethod
    def of(cls, operations: Operations) -> "People":
        """Take the operations together."""
        number, person, told = len(operations.identities), operations.person, operations.told

        def counted(which: Mask) -> Ints:
            return np.bincount(person[which], minlength=number)

        def earliest(moments: Floats, which: Mask) -> Floats:
            found = np.full(number, np.inf)
            np.minimum.at(found, person[which], moments[which])
            return found

        def latest(moments: Floats, which: Mask) -> Floats:
            return -earliest(-moments, which)

        granted, replayed = told == Answer.GRANTED, told == Answer.REPLAYED
        unknown, refused = is_one_of(told, UNKNOWN), is_one_of(told, REFUSALS)
        told_by = earliest(operations.end, granted | replayed)
        refused_from = latest(operations.start, refused)
        # A 201 was granted by that very request. Without one it was any that was told 200, as a gateway may have asked
        # twice, or any of which nobody knows; never one that was refused, or that reached no batch.
        first_granted = earliest(operations.start, granted)
        first_possible = earliest(operations.start, replayed | unknown)
        granted_from = np.where(np.isinf(first_granted), first_possible, first_granted)
        never = np.isposinf(granted_from)
        return cls(
            grants=counted(granted),
            replays=counted(replayed),
            sold_out=counted(told == Answer.SOLD_OUT) > 0,
            in_doubt=counted(unknown) > 0,
            unsettled=(latest(operations.start, unknown) > refused_from) & (counted(is_one_of(told, HOLDING)) == 0),
            refused_from=refused_from,
            told_by=told_by,
            granted_from=np.where(never, -np.inf, np.maximum(granted_from, refused_from)),
        )
