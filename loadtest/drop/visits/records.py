"""The results of whole visits: a row for each request, with room for retries, and a row for each reading and pass.

A retry is a row of its own, due when the answer before asked for it. Times are seconds after the opening. The columns
never grow while requests are sent, so the number of retries is bounded.
"""

from array import array
from collections import Counter
from typing import Final

import numpy as np
import numpy.typing as npt

from loadtest.client.credentials import identities_of
from loadtest.crowd.arrivals import Floats
from loadtest.crowd.records import ROW, Rows
from loadtest.crowd.schedule import Schedule
from loadtest.history.passes import PASS, IssuedPasses
from loadtest.history.readings import READING, Readings

# Room for retries: one for each so many requests, and some.
_RETRIES_PER_REQUEST: Final = 0.2
_FEWEST_RETRIES: Final = 1000
_ALL: Final = slice(None)
_READING_VALUES: Final = ("client", "server_ms", "state", "issued", "total", "remaining", "opens_at_ms")


class VisitRecords:
    """The rows of one generator as they fill. The first rows are those of the schedule, in its order.

    The columns are those of `records.ROW`. `errors` counts wrong answers by their text; `completed` holds row numbers
    in the order of the answers.
    """

    def __init__(self, schedule: Schedule) -> None:
        scheduled = len(schedule)
        room = scheduled + max(_FEWEST_RETRIES, round(scheduled * _RETRIES_PER_REQUEST))
        nan = array("d", [float("nan")])
        self.due, self.sent, self.free_since, self.done = nan * room, nan * room, nan * room, nan * room
        self.person, self.kind, self.answer = array("i", [0]) * room, bytearray(room), bytearray(room)
        self.serial, self.claimed_at_ms = array("q", [0]) * room, array("q", [0]) * room
        np.frombuffer(self.due)[:scheduled] = schedule.offsets
        np.frombuffer(self.person, np.int32)[:scheduled] = schedule.persons
        self.kind[:scheduled] = schedule.kinds.tobytes()
        self.scheduled = scheduled
        self.count = scheduled
        self._room = room
        self.completed = array("i")
        self.errors: Counter[str] = Counter()
        self._reading_times, self._reading_values = array("d"), array("q")
        self._passes, self._pass_values = bytearray(), array("q")

    def add(self, due: float, person: int, kind: int) -> int | None:
        """Add a request that the schedule does not have; its row, or None where there is no room for more."""
        row = self.count
        if row == self._room:
            return None
        self.due[row], self.person[row], self.kind[row] = due, person, kind
        self.count = row + 1
        return row

    def note(self, row: int, done: float, answer: int, serial: int, claimed_at_ms: int) -> None:
        """Note the answer to the request `row`."""
        self.done[row] = done
        self.answer[row] = answer
        self.serial[row] = serial
        self.claimed_at_ms[row] = claimed_at_ms
        self.completed.append(row)

    def note_reading(self, client: int, start: float, end: float, read: tuple[int, ...]) -> None:
        """Note what a client read of the round: the values of READING from `server_ms` on."""
        self._reading_times.extend((start, end))
        self._reading_values.append(client)
        self._reading_values.extend(read)

    def note_pass(self, person: int, text: bytes, expires_at_ms: int) -> None:
        """Note a pass that a person got, of PASS_CHARACTERS."""
        self._passes += text
        self._pass_values.extend((person, expires_at_ms))

    def readings(self) -> Readings:
        """All readings as one structured array (`READING`)."""
        times = np.array(self._reading_times).reshape(-1, 2)
        values = np.array(self._reading_values, np.int64).reshape(-1, len(_READING_VALUES))
        readings = np.zeros(len(times), READING)
        readings["start"], readings["end"] = times[:, 0], times[:, 1]
        for column, name in enumerate(_READING_VALUES):
            readings[name] = values[:, column]
        return readings

    def issued_passes(self) -> IssuedPasses:
        """All passes that people got as one structured array (`PASS`)."""
        values = np.array(self._pass_values, np.int64).reshape(-1, 2)
        passes = np.zeros(len(values), PASS)
        passes["person"], passes["expires_at_ms"] = values[:, 0], values[:, 1]
        passes["identity"] = identities_of(bytes(self._passes))
        return passes

    def intended(self, chosen: "slice | npt.NDArray[np.int64]" = _ALL) -> Floats:
        """When the chosen requests were due, from which latency counts."""
        due: Floats = np.frombuffer(self.due)[chosen]
        return due

    def kinds(self, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """The kinds of the chosen requests."""
        kinds: npt.NDArray[np.uint8] = np.frombuffer(self.kind, np.uint8)[chosen]
        return kinds

    def rows(self) -> Rows:
        """All rows as one structured array (`ROW`)."""
        rows = np.zeros(self.count, ROW)
        columns = {
            "intended": self.due, "person": self.person, "kind": np.frombuffer(self.kind, np.int8), "sent": self.sent,
            "free_since": self.free_since, "done": self.done, "answer": np.frombuffer(self.answer, np.uint8),
            "serial": self.serial, "claimed_at_ms": self.claimed_at_ms,
        }  # fmt: skip
        for name, column in columns.items():
            rows[name] = np.asarray(column)[: self.count]
        return rows
