"""The state of a round after each entry of its log, and the grants that the state in force did not allow.

It loops over entries, not over grants: the script decides a batch as a whole, so an entry is judged as a whole.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from claimd.domain.log import EditEntry, GrantsEntry, VoidEntry
from loadtest.client.credentials import Identities
from loadtest.history.columns import Ints, unpack_identities
from loadtest.history.log import Log

NEVER_MS: Final = 2**62


@dataclass(slots=True)
class Timeline:
    """The state after the last entry, and which states there ever were. Times are milliseconds of the server's clock.

    `violations` counts by the names of `Recount`.
    """

    total: int | None = None
    opens_at_ms: int = NEVER_MS
    closes_at_ms: int = NEVER_MS
    paused: bool = False
    closed: bool = False
    version: int = 0
    issued: int = 0
    voided: set[int] = field(default_factory=set)
    newest_ms: int = 0
    smallest_total: int | None = None
    total_rose: bool = False
    ever_scheduled: bool = False
    ever_paused: bool = False
    ever_closed: bool = False
    latest_opening_ms: int = 0
    earliest_closing_ms: int = NEVER_MS
    violations: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, log: Log) -> "Timeline":
        """Apply the entries of a log in order."""
        timeline = cls()
        timeline.violations["log_malformed"] += log.malformed
        for entry in log.entries:
            if isinstance(entry, GrantsEntry):
                timeline._grant(entry)
            elif isinstance(entry, VoidEntry):
                timeline._void(entry)
            else:
                timeline._edit(entry)
        return timeline

    def _grant(self, entry: GrantsEntry) -> None:
        number, violations = len(entry), self.violations
        if entry.first_serial != self.issued + 1:
            violations["log_serials_broken"] += 1
        before, self.issued = self.issued, self.issued + number
        if self.total is not None:
            stock = self.total + len(self.voided)
            violations["oversold"] += max(0, self.issued - max(before, stock))
        # Where the clock is behind the previous grant, a grant repeats that time: it then proves nothing of the window.
        clock_moved = entry.at_ms != self.newest_ms
        self.newest_ms = entry.at_ms
        if clock_moved and entry.at_ms < self.opens_at_ms:
            violations["granted_before_opening"] += number
        if self.closed or (clock_moved and entry.at_ms >= self.closes_at_ms):
            violations["granted_while_closed"] += number
        if self.paused:
            violations["granted_while_paused"] += number

    def _void(self, entry: VoidEntry) -> None:
        serial = entry.claim.serial
        if serial in self.voided or not 1 <= serial <= self.issued or entry.claim.voided_at_ms < self.newest_ms:
            self.violations["voids_broken"] += 1
        self.voided.add(serial)
        # Packs come back, as after an edit that adds some.
        self.total_rose = True

    def _edit(self, entry: EditEntry) -> None:
        if entry.version != self.version + 1:
            self.violations["versions_broken"] += 1
        self.version = entry.version
        try:
            self._change(entry.fields)
        except (ValueError, TypeError):
            self.violations["log_malformed"] += 1
        if self.total is not None and self.total < self.issued - len(self.voided):
            self.violations["total_below_issued"] += 1
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
class Grants:
    """The grants of a log as columns, one row for each claim, in the log's order."""

    serials: Ints
    identities: Identities
    at_ms: Ints

    @classmethod
    def of(cls, log: Log) -> "Grants":
        """Expand the entries of a log, of up to 512 grants each, to one row for each grant."""
        entries = [entry for entry in log.entries if isinstance(entry, GrantsEntry)]
        sizes = np.array([len(entry) for entry in entries], np.int64)
        first = np.array([entry.first_serial for entry in entries], np.int64)
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return cls(
            np.repeat(first, sizes) + within,
            unpack_identities(b"".join(entry.identities for entry in entries)),
            np.repeat(np.array([entry.at_ms for entry in entries], np.int64), sizes),
        )
