"""However many claims arrive, an event-loop iteration ends, so that replies of the server are read in between."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from claimd.domain.outcomes import Outcome
from claimd.engine.batcher import BatchLimits
from claimd.engine.engine import ClaimEngine
from claimd.gateway.context import Context
from claimd.gateway.events.live_rounds import EventLimits, LiveRounds
from claimd.gateway.lane.budget import WORK_PER_ITERATION, LoopBudget
from claimd.gateway.lane.connection import Lane, LaneConnection
from claimd.gateway.rate_limit import RateLimit
from claimd.gateway.readings.round_readings import RoundReadings
from claimd.identity.bearer import BearerTokens, TokenRules
from claimd.identity.passes import Passes
from claimd.metrics.counts import Counts
from claimd.store.memory import MemoryStore
from tests.http.serving import KEYS, pass_for
from tests.rounds import now_ms


class Recorder:
    """Records the order in which requests are served."""

    def __init__(self, served: list[str], name: str) -> None:
        self._served = served
        self._name = name

    def serve(self) -> None:
        self._served.append(self._name)


class Loop:
    """Runs the scheduled callbacks when the test calls `iterate`."""

    def __init__(self) -> None:
        self.ready: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.ready.append(callback)

    def iterate(self) -> None:
        ready, self.ready = self.ready, []
        for each in ready:
            each()


def test_an_iteration_takes_so_many_and_the_next_ones_the_rest_in_order() -> None:
    """Ten claims at once, with a budget of four, are submitted in three iterations, in the order of their arrival."""
    loop, submitted = Loop(), list[str]()
    budget = LoopBudget(loop.call_soon, most=4)

    def arrive(name: str) -> None:
        if budget.take():
            submitted.append(name)
        else:
            budget.defer(Recorder(submitted, name))

    names = [str(number) for number in range(10)]
    for name in names:
        arrive(name)
    assert submitted == names[:4]
    loop.iterate()
    arrive("late")
    assert submitted == names[:8]
    loop.iterate()
    assert submitted == [*names, "late"]
    assert len(budget) == 0
    arrive("at once")
    assert submitted[-1] == "at once"
    loop.iterate()
    loop.iterate()
    assert loop.ready == []


def test_a_request_that_takes_more_work_leaves_less_for_others() -> None:
    """Two that take five each, of a budget of eight, and one that takes one: the third has to wait, in its order."""
    loop, served = Loop(), list[str]()
    budget = LoopBudget(loop.call_soon, most=8)
    for name, work in (("a", 5), ("b", 5), ("c", 1), ("d", 5), ("e", 5), ("f", 1)):
        if budget.take(work):
            served.append(name)
        else:
            budget.defer(Recorder(served, name), work)
    assert served == ["a", "b"]
    loop.iterate()
    assert served == ["a", "b", "c", "d", "e"]
    loop.iterate()
    assert served == ["a", "b", "c", "d", "e", "f"]


class Wire:
    """A transport that records what is written to it."""

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
    """A lane in front of an engine whose admission control rejects every claim, without aiohttp behind it."""
    store, counts, clock = MemoryStore(now_ms), Counts(), asyncio.get_running_loop().time
    readings = RoundReadings(store)
    context = Context(
        rounds=store,
        readings=readings,
        live_rounds=LiveRounds(readings, EventLimits()),
        readiness=store,
        engine=ClaimEngine(store, counts, BatchLimits(max_waiting=0)),
        passes=Passes(KEYS.pass_key),
        bearer_tokens=BearerTokens(None, TokenRules(), KEYS.identity_key, time.time),
        rate_limit=RateLimit(1_000_000, 1.0, clock),
    )
    return Lane(context, counts, cast(Any, None))


def request(sub: str) -> bytes:
    """A plain claim."""
    return f"POST /v1/rounds/night/claims HTTP/1.1\r\nHost: x\r\nAuthorization: Pass {pass_for(sub)}\r\n\r\n".encode()


def arrived(lane: Lane, data: bytes) -> tuple[LaneConnection, Wire]:
    """A new connection that has received `data`."""
    connection, wire = lane.connection(), Wire()
    connection.connection_made(cast(asyncio.BaseTransport, wire))
    connection.data_received(data)
    return connection, wire


async def test_claims_beyond_the_budget_are_answered_in_the_next_iteration(lane: Lane) -> None:
    """Also rejected ones: a client that is rejected at once retries at once, and the iteration would never end."""
    wires = [arrived(lane, request("ada"))[1] for _ in range(WORK_PER_ITERATION + 10)]
    assert [bool(wire.written) for wire in wires] == [True] * WORK_PER_ITERATION + [False] * 10
    await asyncio.sleep(0)
    assert all(wire.written.startswith(b"HTTP/1.1 503 ") for wire in wires)
    assert lane.counts.claims["night", Outcome.OVERLOADED] == len(wires)


async def test_a_deferred_claim_of_a_closed_connection_is_not_submitted(lane: Lane) -> None:
    """No client waits for its answer, and nothing was sent to the server yet."""
    for _ in range(WORK_PER_ITERATION):
        arrived(lane, request("ada"))
    gone, wire = arrived(lane, request("bob"))
    gone.connection_lost(None)
    await asyncio.sleep(0)
    assert wire.written == b""
    assert lane.counts.claims["night", Outcome.OVERLOADED] == WORK_PER_ITERATION


async def test_stopping_waits_for_deferred_claims(lane: Lane) -> None:
    """They are answered, with whatever answer, before their connections are closed."""
    for _ in range(WORK_PER_ITERATION):
        arrived(lane, request("ada"))
    waiting = [arrived(lane, request("bob")), arrived(lane, request("bob").replace(b"night", b"other"))]
    for connection, _ in waiting:
        connection.close()
    assert [wire.closed for _, wire in waiting] == [False, False]
    await asyncio.sleep(0)
    assert [wire.written[9:12] for _, wire in waiting] == [b"503", b"401"]
    assert [wire.closed for _, wire in waiting] == [True, True]
