"""What every client asked and was told, as columns. Times are seconds of one monotonic clock.

Built from the rows of a drop, or from the operations of a run with faults. A request that never left is no operation.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from loadtest.client.answers import HOLDING, Answer, is_one_of
from loadtest.client.credentials import Identities
from loadtest.crowd.records import Rows
from loadtest.history.columns import Floats, Ints, unpack_identities


class Operation(NamedTuple):
    """One request for `identity` (16 bytes): sent at `start`, answered at `end`, which is NaN where no answer came.

    A time-out may give the moment the client gave up, or NaN: what is unknown can come true at any time after `start`.
    """

    start: float
    end: float
    identity: bytes
    told: Answer
    serial: int = 0
    claimed_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Operations:
    """A row for each: `identities[person]` asked. No answer: `end` is infinite. `serial` and time where it holds.

    The last of `identities` is nobody's: it stands for all who have none.
    """

    identities: Identities
    person: Ints
    start: Floats
    end: Floats
    told: npt.NDArray[np.uint8]
    serial: Ints
    claimed_at_ms: Ints

    def __len__(self) -> int:
        return len(self.start)

    @classmethod
    def of(cls, operations: Iterable[Operation]) -> "Operations":
        """From operations in any order. Raises ValueError where an identity is not 16 bytes."""
        columns = list(zip(*operations, strict=True)) or [()] * len(Operation._fields)
        start, end, identities, told, serial, claimed_at_ms = columns
        if any(len(identity) != 16 for identity in identities):
            raise ValueError("an identity is 16 bytes")
        return cls.of_columns(start, end, unpack_identities(b"".join(identities)), told, serial, claimed_at_ms)

    @classmethod
    def of_columns(
        cls, start: Any, end: Any, identities: Identities, told: Any, serial: Any, at_ms: Any
    ) -> "Operations":
        """The same from anything numpy takes for a column; `identities` has one for each operation."""
        everyone, person = np.unique(identities, return_inverse=True)
        return cls._made(everyone, person, start, end, told, serial, at_ms)

    @classmethod
    def of_rows(cls, rows: Rows, identities: Identities) -> "Operations":
        """From the rows of a drop. Person p is `identities[p]`; rows of bad passes have higher numbers."""
        people = len(identities)
        # Whatever somebody without an identity was told says nothing, unless it is that he holds a claim.
        heard = (rows["person"] < people) | is_one_of(rows["answer"], HOLDING)
        rows = rows[heard]
        person = np.minimum(rows["person"], people)
        return cls._made(
            identities, person, rows["sent"], rows["done"], rows["answer"], rows["serial"], rows["claimed_at_ms"]
        )

    @classmethod
    def _made(cls, everyone: Identities, person: Any, start: Any, end: Any, *rest: Any) -> "Operations":
        start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
        told, serial, claimed_at_ms = (
            np.asarray(column, kind) for column, kind in zip(rest, (np.uint8, np.int64, np.int64), strict=True)
        )
        left = ~np.isnan(start) | is_one_of(told, HOLDING)
        return cls(
            np.append(everyone, np.array([b""], everyone.dtype)),
            np.asarray(person, np.int64)[left],
            np.nan_to_num(start[left], nan=-np.inf, posinf=np.inf, neginf=-np.inf),
            np.nan_to_num(end[left], nan=np.inf, posinf=np.inf, neginf=-np.inf),
            told[left],
            serial[left],
            claimed_at_ms[left],
        )
