"""A small drop with whole visits as plain data without any mistake; tests corrupt one thing of it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loadtest.client.answers import Answer
from loadtest.client.visit_answers import RoundState
from loadtest.crowd.records import ROW, Rows
from loadtest.crowd.schedule import Kind
from loadtest.history.checker import check
from loadtest.history.operations import Operations
from loadtest.history.passes import PASS, IssuedPasses
from loadtest.history.readings import READING, Readings
from loadtest.history.recount import Recount
from loadtest.history.visits import Visits
from loadtest.target.clock import ServerClock
from tests.loadtest.drops import OPENS_AT_MS, PEOPLE, POOL, SmallDrop

# The violations that only whole visits can have.
VISIT_VIOLATIONS = {
    "not_claimed_untruly", "issued_went_back", "issued_beyond_total", "issued_untrue", "status_untrue",
    "passes_of_others", "passes_too_short",
}  # fmt: skip

CLOSES_AT_MS = OPENS_AT_MS + 3_600_000
_FIRST_LOOK_UP = 6.0
_CLOCK = ServerClock(OPENS_AT_MS, 2.0)
# Seconds after the opening at which each of two clients reads the round.
READ_AT = (-2.0, -0.5, 0.5, 1.5, 2.5, 4.5)


def _readings(drop: SmallDrop) -> Readings:
    """Two clients read what the server has at that moment; then each is answered 304, and reads nothing newer."""
    readings = np.zeros(2 * len(READ_AT) + 2, READING)
    moments = np.array([*READ_AT, 5.0] * 2)
    readings["client"] = np.repeat([7, -1], len(READ_AT) + 1)
    readings["start"], readings["end"] = moments, moments + 0.004
    server_ms = OPENS_AT_MS + np.round(moments * 1000).astype(np.int64) + 2
    issued = np.searchsorted(drop.export.claimed_at_ms, server_ms, side="right")
    readings["issued"], readings["total"], readings["remaining"] = issued, POOL, POOL - issued
    readings["opens_at_ms"] = OPENS_AT_MS
    readings["state"] = np.where(moments < 0, RoundState.SCHEDULED, RoundState.OPEN)
    readings["state"][issued == POOL] = RoundState.SOLD_OUT
    readings["server_ms"] = np.where(moments == 5.0, 0, server_ms)
    return readings


def _visits_rows(drop: SmallDrop) -> Rows:
    """A round, a pass, another look at the round and a look-up of the claim for each person."""
    persons = np.arange(PEOPLE)
    rows = np.zeros(4 * PEOPLE, ROW)
    rows["person"] = np.tile(persons, 4)
    rows["kind"] = np.repeat([Kind.ROUND, Kind.PASS, Kind.LOOK, Kind.MINE], PEOPLE)
    rows["answer"] = np.repeat([Answer.READ, Answer.PASS_ISSUED, Answer.UNCHANGED, Answer.NOT_CLAIMED], PEOPLE)
    starts = (-6.0, -5.0, -1.0, _FIRST_LOOK_UP)
    rows["intended"] = np.concatenate([start + persons / 100 for start in starts])
    found = rows[3 * PEOPLE : 3 * PEOPLE + POOL]
    found["answer"], found["serial"] = Answer.HELD, drop.export.serials
    found["claimed_at_ms"] = drop.export.claimed_at_ms
    return rows


@dataclass
class SmallEvening(SmallDrop):
    """The small drop, whose people also load the round, get a pass and look their claims up. All is right."""

    readings: Readings = field(init=False)
    passes: IssuedPasses = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        visits = _visits_rows(self)
        visits["sent"], visits["free_since"], visits["done"] = visits["intended"], -9.0, visits["intended"] + 0.005
        rows = np.concatenate([self.rows, visits])
        self.rows = rows[np.argsort(rows["intended"], kind="stable")]
        self.readings = _readings(self)
        self.passes = np.zeros(PEOPLE, PASS)
        self.passes["person"], self.passes["identity"] = np.arange(PEOPLE), self.everyone
        self.passes["expires_at_ms"] = CLOSES_AT_MS + 1

    def reading(self, client: int, at: float) -> Any:
        """A client's reading of that moment, one of READ_AT or 5.0, which a test may change."""
        where = np.flatnonzero((self.readings["client"] == client) & (self.readings["start"] == at))
        return self.readings[where[0]]

    def recount(self, clock: ServerClock | None = _CLOCK) -> Recount:
        """The history checker's recount of it."""
        visits = Visits(self.readings, self.passes, self.everyone, OPENS_AT_MS, CLOSES_AT_MS)
        asked = Operations.of_rows(self.rows, self.everyone)
        return check(self.export, asked, pool=POOL, audit=self.audit, clock=clock, visits=visits)

    def visits_done(self) -> dict[str, Any]:
        """What a generator's message has of whole visits."""
        return {
            "retries": 0,
            "tokens": {"count": PEOPLE, "seconds": 0.5},
            "events": {
                "left_out": None, "watchers": 2, "streams": 2, "events": 9, "errors": 0,
            },
        }  # fmt: skip
