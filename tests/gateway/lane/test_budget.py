"""Whoever asks, and however many: the loop comes round, so that replies of the server are looked at in between."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from claimd.domain.outcomes import Outcome
from claimd.engine.batcher import BatchLimits
from claimd.engine.engine import ClaimEngine
from claimd.gateway.context import Context
from claimd.gateway.lane.budget import MOST_IN_A_TURN, Turns
from claimd.gateway.lane.connection import Lane, LaneConnection
from claimd.gateway.rate_limit import RateLimit
from claimd.identity.bearer import BearerTokens, TokenRules
from claimd.identity.passes import Passes
from claimd.metrics.counts import Counts
from claimd.store.memory import MemoryStore
from tests.http.serving import KEYS, pass_for
from tests.rounds import now_ms


class Someone:
    """Notes the order in which people ask."""

    def __init__(self, asked: list[str]) -> None:
        self._asked = asked

    def ask(self, round_id: str, shown: str) -> None:
        self._asked.append(shown)


class Loop:
    """Runs what was put off when it is told to: a turn."""

    def __init__(self) -> None:
        self.ready: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.ready.append(callback)

    def turn(self) -> None:
        ready, self.ready = self.ready, []
        for each in ready:
            each()


def test_a_turn_takes_so_many_and_the_next_ones_the_rest_in_order() -> None:
    """Ten who come at once to a loop that takes four in a turn ask in three turns, first come, first served."""
    loop, asked = Loop(), list[str]()
    turns = Turns(loop.call_soon, most=4)

    def come(name: str) -> None:
        if turns.take():
            asked.append(name)
        else:
            turns.wait(Someone(asked), "r1", name)

    everybody = [str(number) for number in range(10)]
    for name in everybody:
        come(name)
    assert asked == everybody[:4]
    loop.turn()
    come("late")
    assert asked == everybody[:8]
    loop.turn()
    assert asked == [*everybody, "late"]
    assert len(turns) == 0
    come("at once")
    assert asked[-1] == "at once"
    loop.turn()
    loop.turn()
    assert loop.ready == []


class Wire:
    """A connection's transport: keeps what is written to it."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...


@pytest.fixture
async def lane() -> Lane:
    """In front of an engine that refuses everybody at the door, with nothing behind it."""
    store, counts, clock = MemoryStore(now_ms), Counts(), asyncio.get_running_loop().time
    context = Context(
        claims=store,
        rounds=store,
        readiness=store,
        engine=ClaimEngine(store, counts, BatchLimits(max_waiting=0)),
        passes=Passes(KEYS.pass_key),
        bearer_tokens=BearerTokens(None, TokenRules()),
        identity_key=KEYS.identity_key,
        rate_limit=RateLimit(1_000_000, 1.0, clock),
    )
    return Lane(context, counts, cast(Any, None))


def request(sub: str) -> bytes:
    """A plain claim."""
    return f"POST /v1/rounds/night/claims HTTP/1.1\r\nHost: x\r\nAuthorization: Pass {pass_for(sub)}\r\n\r\n".encode()


def arrived(lane: Lane, data: bytes) -> tuple[LaneConnection, Wire]:
    """A new connection on which that has come."""
    connection, wire = lane.connection(), Wire()
    connection.connection_made(cast(asyncio.BaseTransport, wire))
    connection.data_received(data)
    return connection, wire


async def test_beyond_a_turns_share_answers_come_with_the_next_turns(lane: Lane) -> None:
    """Also refusals: who is refused at once asks again at once, and the turn would never end."""
    wires = [arrived(lane, request("ada"))[1] for _ in range(MOST_IN_A_TURN + 10)]
    assert [bool(wire.written) for wire in wires] == [True] * MOST_IN_A_TURN + [False] * 10
    await asyncio.sleep(0)
    assert all(wire.written.startswith(b"HTTP/1.1 503 ") for wire in wires)
    assert lane.counts.claims["night", Outcome.OVERLOADED] == len(wires)


async def test_who_leaves_before_the_turn_comes_costs_nothing_more(lane: Lane) -> None:
    """Nobody is there to be told, and nothing was asked of the server yet."""
    for _ in range(MOST_IN_A_TURN):
        arrived(lane, request("ada"))
    gone, wire = arrived(lane, request("bob"))
    gone.connection_lost(None)
    await asyncio.sleep(0)
    assert wire.written == b""
    assert lane.counts.claims["night", Outcome.OVERLOADED] == MOST_IN_A_TURN


async def test_stopping_waits_for_those_whose_turn_has_not_come(lane: Lane) -> None:
    """They are answered, whatever the answer, and then hung up on."""
    for _ in range(MOST_IN_A_TURN):
        arrived(lane, request("ada"))
    waiting = [arrived(lane, request("bob")), arrived(lane, request("bob").replace(b"night", b"other"))]
    for connection, _ in waiting:
        connection.close()
    assert [wire.closed for _, wire in waiting] == [False, False]
    await asyncio.sleep(0)
    assert [wire.written[9:12] for _, wire in waiting] == [b"503", b"401"]
    assert [wire.closed for _, wire in waiting] == [True, True]
