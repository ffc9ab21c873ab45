"""Claims become batches: few calls, none late, no claim forgotten. On the model, whose calls a test can hold."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from claimd.domain.outcomes import Decision, Outcome
from claimd.engine.batcher import CALLS_IN_FLIGHT, BatchLimits
from claimd.engine.engine import ClaimEngine
from claimd.metrics.counts import Counts
from claimd.store.errors import StoreUnavailable
from claimd.store.memory import MemoryStore
from claimd.store.ports import MAX_BATCH
from tests.patience import patient_store
from tests.rounds import definition, identities, identity, now_ms
from tests.servers import Server


class HeldStore(MemoryStore):
    """Notes each call, and holds its reply until `let_go` is set; fails with `error`, if any."""

    def __init__(self) -> None:
        super().__init__(now_ms)
        self.calls: list[list[bytes]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.let_go = asyncio.Event()
        self.error: Exception | None = None

    async def claim(self, round_id: str, identities: Sequence[bytes], epoch: int = 0) -> list[Decision]:
        """See `ClaimStore.claim`."""
        self.calls.append(list(identities))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self.let_go.wait()
            if self.error is not None:
                raise self.error
            return await super().claim(round_id, identities, epoch)
        finally:
            self.in_flight -= 1


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def held() -> AsyncIterator[HeldStore]:
    """A store with a round of 10,000."""
    store = HeldStore()
    await store.round_create(definition(total=10_000), "")
    yield store
    store.let_go.set()


async def turns(count: int = 3) -> None:
    """Let everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_lone_claim_is_sent_at_once(held: HeldStore) -> None:
    """It is sent at the end of the event-loop iteration that it came in: there is no timer."""
    engine = ClaimEngine(held, Counts())
    engine.submit_claim("r1", identity(1), lambda _: None)
    await turns(2)
    assert held.calls == [[identity(1)]]


async def test_claims_of_one_turn_leave_together(held: HeldStore) -> None:
    """100 claims that came in at once are one call."""
    engine = ClaimEngine(held, Counts())
    for number in range(100):
        engine.submit_claim("r1", identity(number), lambda _: None)
    await turns()
    assert [len(call) for call in held.calls] == [100]


async def test_a_second_call_leaves_for_a_full_batch_only(held: HeldStore) -> None:
    """One call at a time, so that batches are large; but a call that hangs does not stop a crowd."""
    engine = ClaimEngine(held, Counts())
    for number in range(MAX_BATCH):
        engine.submit_claim("r1", identity(number), lambda _: None)
        await turns()
    assert [len(call) for call in held.calls] == [1]
    engine.submit_claim("r1", identity(MAX_BATCH), lambda _: None)
    await turns()
    assert [len(call) for call in held.calls] == [1, MAX_BATCH]


async def test_at_most_two_calls_are_in_flight_and_512_in_one(held: HeldStore) -> None:
    """What comes in meanwhile gathers, and goes out in order, as full batches."""
    engine = ClaimEngine(held, Counts())
    asked = [asyncio.create_task(engine.claim("r1", identity(number))) for number in range(2000)]
    await turns()
    assert [len(call) for call in held.calls] == [MAX_BATCH, MAX_BATCH]
    assert engine.queue_depth() == 2000 - 2 * MAX_BATCH
    held.let_go.set()
    decisions = await asyncio.gather(*asked)
    assert held.most_in_flight == CALLS_IN_FLIGHT
    assert max(map(len, held.calls)) == MAX_BATCH
    assert [person for call in held.calls for person in call] == identities(*range(2000))
    assert [decision.serial for decision in decisions] == list(range(1, 2001))


async def test_a_thousand_concurrent_claims_make_few_calls(valkey: Server) -> None:
    """On the real server: 1,000 claims from 50 people at a time come to it in far fewer calls, and all are granted."""
    store = patient_store(valkey.url)
    await store.rounds.round_create(definition(total=1000), "")
    engine = ClaimEngine(store.claims, counts := Counts())

    async def person(first: int) -> list[int]:
        return [(await engine.claim("r1", identity(first + step))).serial for step in range(20)]

    serials = await asyncio.gather(*(person(20 * number) for number in range(50)))
    await store.close()
    assert sorted(serial for of_one in serials for serial in of_one) == list(range(1, 1001))
    assert sum(counts.batch_claims.counts) <= 200


async def test_rounds_do_not_wait_for_each_other(held: HeldStore) -> None:
    """A round whose calls hang does not hold up another's."""
    await held.round_create(definition("r2"), "")
    engine = ClaimEngine(held, Counts())
    for number in range(3 * MAX_BATCH):
        engine.submit_claim("r1", identity(number), lambda _: None)
    engine.submit_claim("r2", identity(1), lambda _: None)
    await turns()
    assert [identity(1)] in held.calls


async def test_a_claim_that_waited_too_long_is_never_sent(held: HeldStore) -> None:
    """Past its deadline it is answered `overloaded` instead: nothing was granted, and nothing will be."""
    clock = Clock()
    engine = ClaimEngine(held, counts := Counts(), BatchLimits(max_wait_seconds=60.0, deadline_seconds=4.0), clock)
    first = [asyncio.create_task(engine.claim("r1", identity(number))) for number in range(2 * MAX_BATCH)]
    await turns()
    late = asyncio.create_task(engine.claim("r1", identity(5000)))
    await turns()
    clock.now += 3.9
    in_time = asyncio.create_task(engine.claim("r1", identity(5001)))
    await turns()
    clock.now += 0.1
    held.let_go.set()
    await asyncio.gather(*first)
    assert (await late).outcome is Outcome.OVERLOADED
    assert (await in_time).outcome is Outcome.GRANTED
    assert all(identity(5000) not in call for call in held.calls)
    assert counts.claims["r1", Outcome.OVERLOADED] == 1


async def test_claims_beyond_the_bound_are_rejected_at_once(held: HeldStore) -> None:
    """The queue has a bound: a claim that finds it full is rejected at once, and the others are decided."""
    engine = ClaimEngine(held, Counts(), BatchLimits(max_waiting=10))
    asked = [asyncio.create_task(engine.claim("r1", identity(number))) for number in range(12)]
    await turns()
    over = [task for task in asked if task.done()]
    assert [task.result().outcome for task in over] == [Outcome.OVERLOADED] * 2
    held.let_go.set()
    assert {(await task).outcome for task in asked[:10]} == {Outcome.GRANTED}


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), RuntimeError("a bug")])
async def test_a_failed_call_is_unknown_and_the_next_one_goes_on(held: HeldStore, error: Exception) -> None:
    """Every claim of the batch is UNAVAILABLE; a lost reply is never reported as a refusal."""
    engine = ClaimEngine(held, Counts())
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    held.error = error
    asked = [asyncio.create_task(engine.claim("r1", identity(number))) for number in range(3)]
    await turns()
    held.let_go.set()
    assert [decision.outcome for decision in await asyncio.gather(*asked)] == [Outcome.UNAVAILABLE] * 3
    held.error = None
    assert (await engine.claim("r1", identity(1))).outcome is Outcome.GRANTED


async def test_draining_waits_for_every_claim(held: HeldStore) -> None:
    """After `drain` nothing waits and nothing is in flight: each claim was answered."""
    engine = ClaimEngine(held, Counts())
    told: list[Decision] = []
    for number in range(3 * MAX_BATCH):
        engine.submit_claim("r1", identity(number), told.append)
    draining = asyncio.create_task(engine.drain())
    await turns()
    assert not draining.done()
    held.let_go.set()
    await draining
    assert len(told) == 3 * MAX_BATCH


async def test_one_listener_that_fails_affects_no_other_claim(held: HeldStore) -> None:
    """A decision that cannot be delivered is logged; those after it in the batch get theirs."""
    engine = ClaimEngine(held, Counts())
    told: list[Decision] = []

    def fails(_: Decision) -> None:
        raise ConnectionError("the client is gone")

    held.let_go.set()
    for deliver in (told.append, fails, told.append):
        engine.submit_claim("r1", identity(len(told)), deliver)
    await engine.drain()
    assert len(told) == 2


async def test_counts_are_of_every_claim(held: HeldStore) -> None:
    """Outcomes, latencies and batch sizes add up to the claims that were decided."""
    held.let_go.set()
    engine = ClaimEngine(held, counts := Counts())
    await asyncio.gather(*(engine.claim("r1", identity(number % 60)) for number in range(100)))
    assert counts.claims == {("r1", Outcome.GRANTED): 60, ("r1", Outcome.REPLAYED): 40}
    assert sum(counts.latency_seconds.counts) == 100
    assert counts.batch_claims.total == 100
