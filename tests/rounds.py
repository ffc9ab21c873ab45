"""Definitions of rounds and digests of identities for the tests."""

import time
from collections.abc import Collection
from typing import Any

from claimd.domain.rounds import ANY_STATUS, Definition, Round, Status
from claimd.domain.times import HOUR_MS
from claimd.store.ports import Position, RoundReader


def now_ms() -> int:
    """Milliseconds since the epoch by this machine's clock, which the test servers share."""
    return time.time_ns() // 1_000_000


def definition(round_id: str = "r1", total: int = 3, **changes: Any) -> Definition:
    """A round that opened an hour ago and closes in an hour; `changes` are fields of `Definition`."""
    now = now_ms()
    window: dict[str, Any] = {"opens_at_ms": now - HOUR_MS, "closes_at_ms": now + HOUR_MS}
    return Definition(round_id, "A round", total, **{**window, **changes})


async def listed(rounds: RoundReader, statuses: Collection[Status] = ANY_STATUS, limit: int = 100) -> list[Round]:
    """The rounds of these statuses, read page by page, `limit` rounds a page."""
    found: list[Round] = []
    after: Position | None = None
    while True:
        page = await rounds.rounds_page(statuses, after, limit)
        assert len(page.rounds) <= limit
        found += page.rounds
        after = page.next
        if after is None:
            return found


def identity(number: int) -> bytes:
    """A 16-byte identity digest that stands for person `number`."""
    return number.to_bytes(16, "big")


def identities(*numbers: int) -> list[bytes]:
    """The digests of several people, in the order of the numbers."""
    return [identity(number) for number in numbers]
