"""A small drop as plain data without any mistake; tests of the recount and the report corrupt one thing of it."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from claimd.domain.claims import claim_id
from claimd.domain.times import to_rfc3339
from claimd.identity.keys import Keys
from loadtest.client.answers import Answer
from loadtest.client.credentials import identities
from loadtest.crowd.records import ROW
from loadtest.crowd.schedule import Kind
from loadtest.drop.messages import Done
from loadtest.history.checker import check
from loadtest.history.export import Export
from loadtest.history.operations import Operations
from loadtest.history.recount import Recount
from loadtest.target.clock import ServerClock

KEYS = Keys.derive(b"s" * 32)
ROUND = "r"
POOL, PEOPLE = 40, 50
OPENS_AT_MS = 1_585_857_600_000


@dataclass
class SmallDrop:
    """Person p came at second p / 10 and was granted serial p + 1; from person 40 on the round was sold out."""

    everyone: Any = field(default_factory=lambda: identities(KEYS, 1, range(PEOPLE)))
    rows: Any = None
    export: Any = None
    audit: Any = field(
        default_factory=lambda: {
            "ok": True, "total": POOL, "issued": POOL, "remaining": 0, "claims": POOL, "identities": POOL,
        }
    )  # fmt: skip

    def __post_init__(self) -> None:
        persons = np.arange(PEOPLE)
        rows = np.zeros(PEOPLE + 4, ROW)
        rows["person"][:PEOPLE] = persons
        rows["intended"][:PEOPLE] = persons / 10
        winners = rows[:POOL]
        winners["answer"], winners["serial"] = Answer.GRANTED, persons[:POOL] + 1
        winners["claimed_at_ms"] = OPENS_AT_MS + persons[:POOL] * 100 + 2
        rows["answer"][POOL:PEOPLE] = Answer.SOLD_OUT
        # Persons 3 and 4 tapped again; an early bird; a bad pass.
        again = rows[PEOPLE : PEOPLE + 2]
        again["kind"], again["person"], again["answer"] = Kind.AGAIN, [3, 4], Answer.REPLAYED
        again["serial"], again["intended"] = [4, 5], [2.0, 2.0]
        again["claimed_at_ms"] = rows["claimed_at_ms"][[3, 4]]
        rows[PEOPLE + 2]["kind"], rows[PEOPLE + 2]["answer"], rows[PEOPLE + 2]["intended"] = (
            Kind.EARLY,
            Answer.NOT_OPEN,
            -1.0,
        )
        rows[PEOPLE + 3]["kind"], rows[PEOPLE + 3]["answer"] = Kind.BAD, Answer.UNAUTHENTICATED
        rows[PEOPLE + 3]["person"] = PEOPLE
        rows = rows[np.argsort(rows["intended"], kind="stable")]
        rows["sent"], rows["free_since"], rows["done"] = rows["intended"], -2.0, rows["intended"] + 0.005
        self.rows = rows
        self.export = Export(np.arange(POOL) + 1, self.everyone[:POOL].copy(), OPENS_AT_MS + np.arange(POOL) * 100 + 2)

    def row(self, person: int, kind: int = Kind.CLAIM) -> Any:
        """A person's row of that kind, which a test may change."""
        where = np.flatnonzero((self.rows["person"] == person) & (self.rows["kind"] == kind))
        return self.rows[where[0]]

    def edit_export(self, **columns: Any) -> None:
        """Replace columns of the export."""
        self.export = replace(self.export, **columns)

    def recount(self) -> Recount:
        """The history checker's recount of it."""
        asked = Operations.of_rows(self.rows, self.everyone)
        return check(self.export, asked, pool=POOL, audit=self.audit, clock=ServerClock(OPENS_AT_MS, 2.0))

    def done(self, **other: Any) -> Done:
        """The message of a generator that kept up, with `other` fields changed."""
        fared: dict[str, Any] = {
            "index": 0, "crowd_rows": len(self.rows), "blind": [], "cpu_fraction": 0.3, "busiest_cpu_fraction": 0.4,
            "runqueue_fraction": None, "connections": 20, "app_users": 0, "app_retries": 0, "clock_error_ms": 2.0,
            "server_ms_at_zero": OPENS_AT_MS, "errors": {}, "visits": None,
        }  # fmt: skip
        return Done(**(fared | other))

    def ndjson(self) -> bytes:
        """The export as claimd writes it."""
        lines = [
            json.dumps({
                "serial": int(serial), "id": claim_id(ROUND, int(serial)), "identity": bytes(identity)[:16].hex(),
                "claimed_at": to_rfc3339(int(at)),
            })
            for serial, identity, at in zip(
                self.export.serials, self.export.identities, self.export.claimed_at_ms, strict=True
            )
        ]  # fmt: skip
        return "\n".join(lines).encode() + b"\n"
