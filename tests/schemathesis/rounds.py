"""The rounds that the requests meet: one in each state."""

from typing import Any

from claimd.domain.times import HOUR_MS
from tests.http.serving import ADMIN, Served, identity_of, open_round
from tests.rounds import now_ms

_EDITS: dict[str, dict[str, Any]] = {"waiting": {"paused": True}, "over": {"closed": True}, "gone": {"closed": True}}
# Who holds a claim in each round that was open.
HOLDER = "ada"
EXAMPLE = "spring-5"
ROUNDS = ("night", "early", "empty", "some", *_EDITS)


async def make_rounds(console: Served, *, example: bool) -> None:
    """Open, scheduled, sold out, for some only, paused, closed, archived; and, if wanted, that of the examples."""
    later = {"opens_at_ms": now_ms() + 24 * HOUR_MS, "closes_at_ms": now_ms() + 48 * HOUR_MS}
    fields: dict[str, dict[str, Any]] = {"early": later, "empty": {"total": 0}, "some": {"eligibility": {"x": [1]}}}
    for name in (*ROUNDS, *([EXAMPLE] if example else [])):
        await open_round(console.store, name, **{"total": 1_000_000, **fields.get(name, {})})
        await console.store.claims.claim(name, [identity_of(HOLDER)])
        if name in _EDITS:
            await console.store.rounds.round_edit(name, _EDITS[name], "for a test")
    path = "/admin/v1/rounds/gone/archive"
    assert (await console.http.post(path, headers=ADMIN, json={"reason": "over"})).status == 200
