"""Reading rounds, the same on both sides."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from claimd.domain.rounds import Round, is_round_id
from claimd.domain.times import to_rfc3339
from claimd.http.paging import Asked, cursor
from claimd.http.problems import refused
from claimd.http.replies import round_json
from claimd.store.protocol import Store

Spell = Callable[[Round, int], dict[str, Any]]


async def read_rounds(store: Store, asked: Asked, spell: Spell = round_json) -> dict[str, Any]:
    """A page of rounds, where the next one begins, and the server's time. `spell` makes the members of one."""
    page = await store.rounds_page(asked.statuses, asked.after, asked.limit)
    return {
        "rounds": [spell(item, page.now_ms) for item in page.rounds],
        "next": cursor(page.next),
        "server_time": to_rfc3339(page.now_ms),
    }


async def read_round(store: Store, round_id: str, spell: Spell = round_json) -> dict[str, Any]:
    """One round, with the server's time; 404 where there is none."""
    reading = await store.round(round_id) if is_round_id(round_id) else None
    if reading is None or reading.round is None:
        raise refused(HTTPStatus.NOT_FOUND, "round_not_found")
    return {**spell(reading.round, reading.now_ms), "server_time": to_rfc3339(reading.now_ms)}
