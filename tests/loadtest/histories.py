"""Histories written by hand: what was asked and told, the export and the log of one small round, to be corrupted.

Second 0 of the operations is `BASE_MS` of the server. People are numbers; their digests may end in zeros.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from claimd.domain.log import EditEntry, GrantsEntry
from loadtest.client.answers import Answer
from loadtest.history.checker import check
from loadtest.history.columns import unpack_identities
from loadtest.history.export import Export
from loadtest.history.log import Log
from loadtest.history.operations import Operation, Operations
from loadtest.target.clock import ServerClock

BASE_MS = 1_585_857_600_000
CLOCK = ServerClock(BASE_MS, 2.0)


def digest(person):
    """16 bytes, the last ones zero."""
    return person.to_bytes(4, "little") + bytes(12)


def ms(seconds):
    """The server's time."""
    return BASE_MS + round(seconds * 1000)


def columns(claims):
    """An export of (serial, person, at_ms)."""
    serials, people, times = zip(*claims, strict=True) if claims else ((), (), ())
    identities = unpack_identities(b"".join(map(digest, people)))
    return Export(np.array(serials, np.int64), identities, np.array(times, np.int64))


@dataclass
class History:
    """Steps in the order they are called. `claims` is the export: (serial, person, at_ms)."""

    total: int = 4
    opens: float = 0.0
    closes: float = 100.0
    made: float = -10.0
    asked: list[Operation] = field(default_factory=list)
    claims: list[tuple[int, int, int]] = field(default_factory=list)
    entries: list = field(default_factory=list)
    malformed: int = 0

    def __post_init__(self):
        window = {"opens_at_ms": str(ms(self.opens)), "closes_at_ms": str(ms(self.closes))}
        self.edit(self.made, total=str(self.total), **window)

    def edit(self, at, **fields):
        """An operator's change, or the round's creation."""
        version = 1 + sum(isinstance(entry, EditEntry) for entry in self.entries)
        self.entries.append(EditEntry(version, ms(at), "", fields))
        return self

    def grant(self, at, *people):
        """One batch of grants, exported and logged."""
        first = len(self.claims) + 1
        self.claims += [(first + offset, person, ms(at)) for offset, person in enumerate(people)]
        self.entries.append(GrantsEntry(first, ms(at), b"".join(map(digest, people))))
        return self

    def ask(self, person, start, end, told):
        """A request, its times, and what it was told; of a claim, what the export says of it."""
        held = next((claim for claim in self.claims if claim[1] == person), (0, person, 0))
        serial, at_ms = (held[0], held[2]) if told in {Answer.GRANTED, Answer.REPLAYED} else (0, 0)
        self.asked.append(Operation(start, end, digest(person), told, serial, at_ms))
        return self

    def answer(self, person, was, **changes):
        """Change the first answer of a person that was told so."""
        at = next(i for i, item in enumerate(self.asked) if (item.identity, item.told) == (digest(person), was))
        self.asked[at] = self.asked[at]._replace(**changes)

    def entry(self, at, **changes):
        """Change an entry of the log."""
        self.entries[at] = replace(self.entries[at], **changes)

    def check(self, **how):
        """Hold it all against each other: by log and clock, if nothing else is said."""
        log = Log(tuple(self.entries), self.malformed)
        how = {"log": log, "clock": CLOCK, "gateways_repeat": True} | how
        return check(columns(self.claims), Operations.of(self.asked), **how)


def whole_round():
    """A round in which everything happened: overlaps, lost answers, a pause, more stock after a sell-out, the close."""
    return (
        History()
        .ask(4, -1.0, -0.9, Answer.NOT_OPEN)
        # Two at once: the one who came later was served first.
        .grant(1.0, 2, 1)
        .ask(1, 0.8, 1.3, Answer.GRANTED)
        .ask(2, 0.9, 1.1, Answer.GRANTED)
        # The answer was lost; asking again told.
        .grant(2.0, 3)
        .ask(3, 1.9, 2.1, Answer.DROPPED)
        .ask(3, 2.2, 2.3, Answer.REPLAYED)
        .edit(3.0, paused="1")
        .ask(4, 3.1, 3.2, Answer.PAUSED)
        .ask(1, 3.1, 3.2, Answer.REPLAYED)
        .edit(4.0, paused="0")
        # Granted long after the client had given up, when it had been told "paused" elsewhere meanwhile.
        .ask(4, 2.9, 3.0, Answer.UNAVAILABLE)
        .grant(5.0, 4)
        .ask(5, 5.5, 5.6, Answer.SOLD_OUT)
        .edit(6.0, total="6")
        .grant(6.1, 5)
        .ask(5, 6.05, 6.2, Answer.GRANTED)
        .ask(5, 6.15, 6.25, Answer.REPLAYED)
        .ask(6, 6.3, float("nan"), Answer.NO_ANSWER)
        .ask(7, 6.4, 6.5, Answer.RATE_LIMITED)
        .ask(7, 6.4, 6.5, Answer.UNAUTHENTICATED)
        .edit(8.0, closed="1")
        .ask(8, 8.1, 8.2, Answer.CLOSED)
        .ask(1, 8.1, 8.2, Answer.REPLAYED)
    )
