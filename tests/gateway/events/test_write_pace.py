"""The bound on the writes of a process."""

import asyncio

import pytest

from claimd.gateway.events.live_rounds import most_listeners
from claimd.gateway.events.write_pace import WRITES_PER_SECOND, WritePace


def test_turns_are_as_far_apart_as_their_writes_take() -> None:
    """In the order of arrival; time in which nothing was written is not made up for."""
    now = 10.0
    pace = WritePace(lambda: now)
    expected = [0, 25 / WRITES_PER_SECOND, 26 / WRITES_PER_SECOND]
    assert [pace.reserve(25), pace.reserve(1), pace.reserve(25)] == pytest.approx(expected)
    now = 20.0
    assert [pace.reserve(25), pace.reserve(1)] == pytest.approx([0, 25 / WRITES_PER_SECOND])


async def test_every_turn_lets_others_run() -> None:
    """Also one that need not wait: claims come between two groups."""
    ran = asyncio.Event()
    asyncio.get_running_loop().call_soon(ran.set)
    await WritePace(lambda: 0.0).turn(25)
    assert ran.is_set()


def test_listeners_leave_connections_for_claims() -> None:
    """At most half of what the limit of open files allows."""
    assert most_listeners(1024) == (1024 - 128) // 2
    assert most_listeners(1_000_000) == 10_000
