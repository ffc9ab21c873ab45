"""The result of every request of a schedule: a row each, in plain arrays, so that noting a result costs nanoseconds.

Times are seconds after the opening. `array` during the run (an item is set in 30 ns, in numpy in 100), numpy after.
"""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from loadtest.crowd.arrivals import Floats
from loadtest.crowd.pace import Pace
from loadtest.crowd.schedule import Schedule

ROW: Final = np.dtype([
    ("intended", "f8"),
    ("person", "i4"),
    ("kind", "i1"),
    ("sent", "f8"),
    ("free_since", "f8"),
    ("done", "f8"),
    ("answer", "u1"),
    ("serial", "i8"),
    ("claimed_at_ms", "i8"),
])  # fmt: skip
Rows = npt.NDArray[np.void]

_CHUNK_ROWS: Final = 100_000
_ALL: Final = slice(None)


@dataclass(slots=True)
class Records:
    """The rows of one generator as they fill.

    `sent`, `free_since` and `done` are NaN until they are known; `answer` holds values of `Answer`; `completed` holds
    row numbers in the order of the answers; `errors` counts wrong answers by their text.
    """

    schedule: Schedule
    sent: "array[float]" = field(init=False)
    free_since: "array[float]" = field(init=False)
    done: "array[float]" = field(init=False)
    answer: bytearray = field(init=False)
    serial: "array[int]" = field(init=False)
    claimed_at_ms: "array[int]" = field(init=False)
    completed: "array[int]" = field(default_factory=lambda: array("i"))
    errors: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        count = len(self.schedule)
        nan = array("d", [float("nan")])
        self.sent, self.free_since, self.done = nan * count, nan * count, nan * count
        self.answer = bytearray(count)
        self.serial, self.claimed_at_ms = array("q", [0]) * count, array("q", [0]) * count

    def note(self, row: int, done: float, answer: int, serial: int, claimed_at_ms: int) -> None:
        """Note the answer to the request `row`."""
        self.done[row] = done
        self.answer[row] = answer
        self.serial[row] = serial
        self.claimed_at_ms[row] = claimed_at_ms
        self.completed.append(row)

    def intended(self, chosen: "slice | npt.NDArray[np.int64]" = _ALL) -> Floats:
        """When the chosen requests were due, from which latency counts; in a closed loop, when they were sent."""
        due = self.schedule.offsets[chosen]
        if self.schedule.pace is Pace.OPEN:
            return due
        sent = np.frombuffer(self.sent)[chosen]
        return np.where(np.isnan(sent), due, sent)

    def kinds(self, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
        """The kinds of the chosen requests."""
        return self.schedule.kinds[chosen]

    def rows(self) -> Rows:
        """All rows as one structured array (`ROW`)."""
        rows = np.zeros(len(self.schedule), ROW)
        rows["intended"] = self.intended()
        rows["person"] = self.schedule.persons
        rows["kind"] = self.schedule.kinds
        rows["sent"] = self.sent
        rows["free_since"] = self.free_since
        rows["done"] = self.done
        rows["answer"] = np.frombuffer(self.answer, np.uint8)
        rows["serial"] = self.serial
        rows["claimed_at_ms"] = self.claimed_at_ms
        return rows


def pack(rows: npt.NDArray[np.void]) -> Iterator[bytes]:
    """Rows as messages of some megabytes, which a Locust worker sends to the master."""
    for start in range(0, len(rows), _CHUNK_ROWS):
        yield rows[start : start + _CHUNK_ROWS].tobytes()


def unpack(chunks: Sequence[bytes], row: "np.dtype[np.void]" = ROW) -> Rows:
    """The rows of all `chunks`, in their order; `row` is their type."""
    return np.frombuffer(b"".join(chunks), row)
