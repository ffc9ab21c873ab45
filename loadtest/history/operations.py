"""The requests and answers of all clients as columns. Times are seconds of one monotonic clock.

Built from the rows of a drop, or from the operations of a run with faults. A request that was never sent is left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from claimd.domain.claims import IDENTITY_BYTES
from loadtest.client.answers import SHOWING, Answer, is_one_of
from loadtest.client.credentials import Identities
from loadtest.crowd.records import Rows
from loadtest.crowd.schedule import CLAIMS, Kind
from loadtest.history.columns import Floats, Ints, unpack_identities


class Operation(NamedTuple):
    """One request for `identity` (IDENTITY_BYTES): sent at `start`, answered at `end`, NaN without an answer.

    For a time-out `end` may be when the client gave up, or NaN: an unknown outcome can take effect at any time after
    `start`. `serial` (from 1) and `claimed_at_ms` are 0 without a claim.
    """

    start: float
    end: float
    identity: bytes
    answer: Answer
    serial: int = 0
    claimed_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Operations:
    """One row for each request: `identities[claimant]` sent it. `end` is infinite without an answer.

    `serial` and `claimed_at_ms` are 0 without a claim. The last of `identities` stands for requests without one.
    """

    identities: Identities
    claimant: Ints
    start: Floats
    end: Floats
    answer: npt.NDArray[np.uint8]
    serial: Ints
    claimed_at_ms: Ints

    def __len__(self) -> int:
        return len(self.start)

    @classmethod
    def of(cls, operations: Iterable[Operation]) -> "Operations":
        """Build from operations in any order. Raises ValueError if an identity is not IDENTITY_BYTES long."""
        columns = list(zip(*operations, strict=True)) or [()] * len(Operation._fields)
        start, end, identities, answer, serial, claimed_at_ms = columns
        if any(len(identity) != IDENTITY_BYTES for identity in identities):
            raise ValueError(f"an identity is {IDENTITY_BYTES} bytes")
        return cls.of_columns(start, end, unpack_identities(b"".join(identities)), answer, serial, claimed_at_ms)

    @classmethod
    def of_columns(
        cls, start: Any, end: Any, identities: Identities, answer: Any, serial: Any, at_ms: Any
    ) -> "Operations":
        """Build from anything that numpy takes for a column; `identities` has one for each operation."""
        unique, claimant = np.unique(identities, return_inverse=True)
        return cls._made(unique, claimant, start, end, answer, serial, at_ms)

    @classmethod
    def of_rows(cls, rows: Rows, identities: Identities) -> "Operations":
        """Build from the rows of a drop: claims, and the look-ups of claims that were answered.

        Person p is `identities[p]`; rows of bad passes have higher numbers.
        """
        people = len(identities)
        # A look-up without an answer grants nothing, so it leaves no claim in doubt.
        answered = is_one_of(rows["answer"], (Answer.HELD, Answer.NOT_CLAIMED))
        rows = rows[np.isin(rows["kind"], CLAIMS) | ((rows["kind"] == Kind.MINE) & answered)]
        # An answer to a bad pass proves nothing, unless it returns a claim.
        rows = rows[(rows["person"] < people) | is_one_of(rows["answer"], SHOWING)]
        claimant = np.minimum(rows["person"], people)
        return cls._made(
            identities, claimant, rows["sent"], rows["done"], rows["answer"], rows["serial"], rows["claimed_at_ms"]
        )

    @classmethod
    def _made(cls, unique: Identities, claimant: Any, start: Any, end: Any, *rest: Any) -> "Operations":
        start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
        answer, serial, claimed_at_ms = (
            np.asarray(column, kind) for column, kind in zip(rest, (np.uint8, np.int64, np.int64), strict=True)
        )
        sent = ~np.isnan(start) | is_one_of(answer, SHOWING)
        return cls(
            np.append(unique, np.array([b""], unique.dtype)),
            np.asarray(claimant, np.int64)[sent],
            np.nan_to_num(start[sent], nan=-np.inf, posinf=np.inf, neginf=-np.inf),
            np.nan_to_num(end[sent], nan=np.inf, posinf=np.inf, neginf=-np.inf),
            answer[sent],
            serial[sent],
            claimed_at_ms[sent],
        )
