"""What became of a round, by its log, entry by entry: the state in force at each, and grants that it did not allow.

A loop over entries, not over grants: an entry is judged as a whole, which is how the script decided it.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from claimd.domain.log import EditEntry, GrantsEntry
from loadtest.client.credentials import Identities
from loadtest.history.columns import Ints, unpack_identities
from loadtest.history.log import Log

NEVER_MS: Final = 2**62


@dataclass(slots=True)
class Course:
    """The state after the last entry, what the round ever was, and `broken`: violations by the names of `Recount`."""

    total: int | None = None
    opens_at_ms: int = NEVER_MS
    closes_at_ms: int = NEVER_MS
    paused: bool = False
    closed: bool = False
    version: int = 0
    issued: int = 0
    newest_ms: int = 0
    smallest_total: int | None = None
    total_rose: bool = False
    ever_scheduled: bool = False
    ever_paused: bool = False
    ever_closed: bool = False
    latest_opening_ms: int = 0
    earliest_closing_ms: int = NEVER_MS
    broken: Counter[str] = field(default_factory=Counter)

    @classmethod
    def along(cls, log: Log) -> "Course":
        """Go through the log."""
        course = cls()
        course.broken["log_malformed"] += log.malformed
        for entry in log.entries:
            if isinstance(entry, GrantsEntry):
                course._grant(entry)
            else:
                course._edit(entry)
        return course

    def _grant(self, entry: GrantsEntry) -> None:
        number, broken = len(entry), self.broken
        if entry.first_serial != self.issued + 1:
            broken["log_serials_broken"] += 1
        before, self.issued = self.issued, self.issued + number
        if self.total is not None:
            broken["oversold"] += max(0, self.issued - max(before, self.total))
        # A grant has the time of the one before where the clock is behind that: then it says nothing of the window.
        in_step = entry.at_ms != self.newest_ms
        self.newest_ms = entry.at_ms
        if in_step and entry.at_ms < self.opens_at_ms:
            broken["granted_before_opening"] += number
        if self.closed or (in_step and entry.at_ms >= self.closes_at_ms):
            broken["granted_while_closed"] += number
        if self.paused:
            broken["granted_while_paused"] += number

    def _edit(self, entry: EditEntry) -> None:
        if entry.version != self.version + 1:
            self.broken["versions_broken"] += 1
        self.version = entry.version
        try:
            self._change(entry.fields)
        except (ValueError, TypeError):
            self.broken["log_malformed"] += 1
        if self.total is not None and self.total < self.issued:
            self.broken["total_below_issued"] += 1
        self.ever_scheduled |= self.opens_at_ms > entry.at_ms
        self.ever_paused |= self.paused
        self.ever_closed |= self.closed
        self.latest_opening_ms = max(self.latest_opening_ms, self.opens_at_ms)
        self.earliest_closing_ms = min(self.earliest_closing_ms, self.closes_at_ms)

    def _change(self, fields: dict[str, str]) -> None:
        if "total" in fields:
            total = int(fields["total"])
            self.total_rose |= self.total is not None and total > self.total
            self.smallest_total = total if self.smallest_total is None else min(self.smallest_total, total)
            self.total = total
        self.opens_at_ms = int(fields.get("opens_at_ms", self.opens_at_ms))
        self.closes_at_ms = int(fields.get("closes_at_ms", self.closes_at_ms))
        if "paused" in fields:
            self.paused = fields["paused"] == "1"
        if "closed" in fields:
            self.closed = fields["closed"] == "1"


@dataclass(frozen=True, slots=True)
class Granted:
    """The grants of a log, one by one, in its order."""

    serials: Ints
    identities: Identities
    at_ms: Ints

    @classmethod
    def of(cls, log: Log) -> "Granted":
        """Spread the entries out."""
        entries = [entry for entry in log.entries if isinstance(entry, GrantsEntry)]
        sizes = np.array([len(entry) for entry in entries], np.int64)
        first = np.array([entry.first_serial for entry in entries], np.int64)
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return cls(
            np.repeat(first, sizes) + within,
            unpack_identities(b"".join(entry.identities for entry in entries)),
            np.repeat(np.array([entry.at_ms for entry in entries], np.int64), sizes),
        )
