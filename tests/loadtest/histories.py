"""Histories written by hand: operations, export and log of one small round, for tests to corrupt.

Second 0 of the operations is `BASE_MS` of the server. Claimants are numbers; their digests end in zeros.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from claimd.domain.claims import IDENTITY_BYTES, VoidedClaim
from claimd.domain.log import EditEntry, GrantsEntry, LogEntry, VoidEntry
from loadtest.client.answers import Answer
from loadtest.history.checker import check
from loadtest.history.columns import unpack_identities
from loadtest.history.export import Export
from loadtest.history.log import Log
from loadtest.history.operations import Operation, Operations
from loadtest.history.recount import Recount
from loadtest.target.clock import ServerClock

BASE_MS = 1_585_857_600_000
CLOCK = ServerClock(BASE_MS, 2.0)


def digest(claimant: int) -> bytes:
    """Return an identity digest whose last bytes are zero."""
    return claimant.to_bytes(4, "little").ljust(IDENTITY_BYTES, b"\0")


def ms(seconds: float) -> int:
    """Convert seconds of the operations' clock to milliseconds of the server's clock."""
    return BASE_MS + round(seconds * 1000)


def columns(claims: Sequence[tuple[int, int, int]], voided_at_ms: Mapping[int, int] | None = None) -> Export:
    """Build an export of (serial, claimant, claimed_at_ms); some serials were voided."""
    serials, claimants, times = zip(*claims, strict=True) if claims else ((), (), ())
    identities = unpack_identities(b"".join(map(digest, claimants)))
    voids = np.array([(voided_at_ms or {}).get(serial, 0) for serial in serials], np.int64)
    return Export(np.array(serials, np.int64), identities, np.array(times, np.int64), voided_at_ms=voids)


@dataclass
class History:
    """A history built step by step, in the order of the calls. `claims` is the export: (serial, claimant, at_ms)."""

    total: int = 4
    opens: float = 0.0
    closes: float = 100.0
    created: float = -10.0
    operations: list[Operation] = field(default_factory=list)
    claims: list[tuple[int, int, int]] = field(default_factory=list)
    entries: list[LogEntry] = field(default_factory=list)
    malformed: int = 0
    voided_at_ms: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        window = {"opens_at_ms": str(ms(self.opens)), "closes_at_ms": str(ms(self.closes))}
        self.edit(self.created, total=str(self.total), **window)

    def edit(self, at: float, **fields: str) -> Self:
        """Append an operator's edit, or the round's creation, at second `at`."""
        version = 1 + sum(isinstance(entry, EditEntry) for entry in self.entries)
        self.entries.append(EditEntry(version, ms(at), "", fields))
        return self

    def grant(self, at: float, *claimants: int) -> Self:
        """Export and log one batch of grants, decided at second `at`."""
        first = len(self.claims) + 1
        self.claims += [(first + offset, claimant, ms(at)) for offset, claimant in enumerate(claimants)]
        self.entries.append(GrantsEntry(first, ms(at), b"".join(map(digest, claimants))))
        return self

    def void(self, at: float, serial: int) -> Self:
        """Take a claim back at second `at`, in export and log."""
        claimant, claimed_at_ms = next(claim[1:] for claim in self.claims if claim[0] == serial)
        self.voided_at_ms[serial] = ms(at)
        version = sum(isinstance(entry, EditEntry) for entry in self.entries)
        claim = VoidedClaim(serial, digest(claimant), claimed_at_ms, ms(at), barred=False)
        self.entries.append(VoidEntry(claim, version, "fraud"))
        return self

    def request(self, claimant: int, start: float, end: float, answer: Answer) -> Self:
        """Append a request and its answer; one that returns a claim has the export's serial and time."""
        claim = next((claim for claim in self.claims if claim[1] == claimant), (0, claimant, 0))
        serial, at_ms = (claim[0], claim[2]) if answer in {Answer.GRANTED, Answer.REPLAYED} else (0, 0)
        self.operations.append(Operation(start, end, digest(claimant), answer, serial, at_ms))
        return self

    def change_answer(self, claimant: int, was: Answer, **changes: Any) -> None:
        """Change the claimant's first operation with the answer `was`."""
        wanted = digest(claimant), was
        at = next(i for i, each in enumerate(self.operations) if (each.identity, each.answer) == wanted)
        self.operations[at] = self.operations[at]._replace(**changes)

    def change_entry(self, at: int, **changes: Any) -> None:
        """Change an entry of the log."""
        self.entries[at] = replace(self.entries[at], **changes)

    def check(self, **options: Any) -> Recount:
        """Check the history, with log and clock unless `options` replace them."""
        log = Log(tuple(self.entries), self.malformed)
        known: dict[str, Any] = {"log": log, "clock": CLOCK, "gateways_repeat": True}
        return check(columns(self.claims, self.voided_at_ms), Operations.of(self.operations), **known | options)


def whole_round() -> History:
    """Return a correct round with overlaps, lost answers, a pause, more stock after a sell-out, and the close."""
    return (
        History()
        .request(4, -1.0, -0.9, Answer.NOT_OPEN)
        # Two requests overlap, and the later one is served first.
        .grant(1.0, 2, 1)
        .request(1, 0.8, 1.3, Answer.GRANTED)
        .request(2, 0.9, 1.1, Answer.GRANTED)
        # The answer is lost, and a retry returns the claim.
        .grant(2.0, 3)
        .request(3, 1.9, 2.1, Answer.DROPPED)
        .request(3, 2.2, 2.3, Answer.REPLAYED)
        .edit(3.0, paused="1")
        .request(4, 3.1, 3.2, Answer.PAUSED)
        .request(1, 3.1, 3.2, Answer.REPLAYED)
        .edit(4.0, paused="0")
        # Granted long after the client gave up; meanwhile another of its requests was answered "paused".
        .request(4, 2.9, 3.0, Answer.UNAVAILABLE)
        .grant(5.0, 4)
        .request(5, 5.5, 5.6, Answer.SOLD_OUT)
        .edit(6.0, total="6")
        .grant(6.1, 5)
        .request(5, 6.05, 6.2, Answer.GRANTED)
        .request(5, 6.15, 6.25, Answer.REPLAYED)
        .request(6, 6.3, float("nan"), Answer.NO_ANSWER)
        .request(7, 6.4, 6.5, Answer.RATE_LIMITED)
        .request(7, 6.4, 6.5, Answer.UNAUTHENTICATED)
        .edit(8.0, closed="1")
        .request(8, 8.1, 8.2, Answer.CLOSED)
        .request(1, 8.1, 8.2, Answer.REPLAYED)
    )
