"""Admission control: claims are admitted while they can be decided soon. On the model, with a clock the test moves."""

import asyncio
from collections.abc import Sequence

from claimd.domain.outcomes import Decision, Outcome
from claimd.engine.batcher import CALLS_IN_FLIGHT, BatchLimits
from claimd.engine.engine import ClaimEngine
from claimd.engine.expected_wait import ExpectedWait
from claimd.metrics.counts import Counts
from claimd.store.errors import StoreUnavailable
from claimd.store.memory import MemoryStore
from claimd.store.ports import MAX_BATCH
from tests.patience import PATIENCE_SECONDS
from tests.rounds import definition, identity, now_ms


def test_the_wait_grows_with_the_batches_in_front() -> None:
    """Twenty full batches at a tenth of a second, two at a time: a second, and the call that is on its way."""
    wait = ExpectedWait(CALLS_IN_FLIGHT)
    wait.succeeded(0.1, now=5.0)
    assert wait.seconds(0, now=5.0) == 0.1
    assert wait.seconds(MAX_BATCH - 1, now=5.0) == 0.1
    assert wait.seconds(20 * MAX_BATCH, now=5.0) == 0.1 * 11


def test_an_average_is_not_believed_while_all_calls_hang() -> None:
    """Two calls that hang for two seconds count more than a thousand quick ones; one alone does not count."""
    wait = ExpectedWait(CALLS_IN_FLIGHT)
    for _ in range(1000):
        wait.succeeded(0.001, now=9.0)
    wait.begin(1, now=9.0)
    assert wait.seconds(1, now=12.0) < 0.002
    wait.begin(2, now=10.0)
    assert wait.seconds(1, now=12.0) == 2.0
    wait.end(1)
    assert wait.seconds(1, now=12.0) < 0.002


def test_failures_count_until_a_call_gets_through() -> None:
    """As long as none does, the wait is at least as long as that has lasted, whatever is in flight now."""
    wait = ExpectedWait(CALLS_IN_FLIGHT)
    wait.succeeded(0.001, now=9.0)
    wait.failed(sent_at=10.0)
    wait.failed(sent_at=11.0)
    assert wait.failing
    assert wait.seconds(1, now=13.0) == 3.0
    wait.succeeded(0.001, now=13.0)
    assert not wait.failing
    assert wait.seconds(1, now=13.0) < 0.002


def test_a_failure_is_no_older_than_the_last_success() -> None:
    """One call hung for two seconds and failed while others got through: all is well but for that one."""
    wait = ExpectedWait(CALLS_IN_FLIGHT)
    wait.succeeded(0.001, now=12.0)
    wait.failed(sent_at=10.0)
    assert wait.seconds(1, now=12.001) < 0.002


class SlowStore(MemoryStore):
    """Each call takes a second of the test's clock, or fails."""

    def __init__(self) -> None:
        super().__init__(now_ms)
        self.seconds = 100.0
        self.turn = asyncio.Event()
        self.fails = False

    async def claim(self, round_id: str, identities: Sequence[bytes], epoch: int = 0) -> list[Decision]:
        """When the test lets it."""
        turn = self.turn
        await turn.wait()
        if self.fails:
            raise StoreUnavailable("gone")
        return await super().claim(round_id, identities, epoch)


async def claiming(engine: ClaimEngine, first: int, count: int) -> list[asyncio.Task[Decision]]:
    """So many people ask."""
    asked = [asyncio.create_task(engine.claim("r1", identity(first + number))) for number in range(count)]
    for _ in range(3):
        await asyncio.sleep(0)
    return asked


async def test_claims_beyond_the_expected_wait_are_rejected_at_once() -> None:
    """While all calls hang for too long, new claims are rejected at once; those that wait are decided."""
    store = SlowStore()
    await store.round_create(definition(total=10_000), "")
    engine = ClaimEngine(store, counts := Counts(), BatchLimits(max_wait_seconds=1.0), lambda: store.seconds)
    sent = await claiming(engine, 0, 2 * MAX_BATCH)
    store.seconds += 0.9
    in_line = await claiming(engine, 2000, 10)
    store.seconds += 0.2
    turned_away = await claiming(engine, 3000, 10)
    assert [task.result().outcome for task in turned_away] == [Outcome.OVERLOADED] * 10
    assert counts.claims["r1", Outcome.OVERLOADED] == 10
    store.turn.set()
    assert {(await task).outcome for task in (*sent, *in_line)} == {Outcome.GRANTED}
    assert (await (await claiming(engine, 3000, 1))[0]).outcome is Outcome.GRANTED


async def test_nothing_is_expected_of_calls_that_are_over() -> None:
    """After a quiet hour every claim of a burst is admitted."""
    store = SlowStore()
    await store.round_create(definition(total=10_000), "")
    engine = ClaimEngine(store, Counts(), BatchLimits(max_wait_seconds=1.0), lambda: store.seconds)
    store.turn.set()
    for number in range(3):
        (task,) = await claiming(engine, number, 1)
        assert (await task).outcome is Outcome.GRANTED
    store.seconds += 3600.0
    crowd = await claiming(engine, 100, 50)
    assert {(await task).outcome for task in crowd} == {Outcome.GRANTED}


async def test_a_call_that_hangs_does_not_stop_the_rest() -> None:
    """While one call hangs, the other sends one batch after the next, and no claim is rejected."""
    store = SlowStore()
    await store.round_create(definition(total=10_000), "")
    engine = ClaimEngine(store, Counts(), BatchLimits(max_wait_seconds=0.5))
    hanging = await claiming(engine, 0, 1)
    store.turn = asyncio.Event()
    store.turn.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        for number in range(1, 50):
            others = await claiming(engine, 100 * number, 20)
            assert {(await task).outcome for task in others} == {Outcome.GRANTED}
    assert not hanging[0].done()


async def test_while_the_server_is_gone_one_at_a_time_finds_out_when_it_is_back() -> None:
    """The rest is UNAVAILABLE without a wait; after the first call that succeeds every claim is admitted again."""
    store = SlowStore()
    await store.round_create(definition(total=10_000), "")
    engine = ClaimEngine(store, Counts(), BatchLimits(), lambda: store.seconds)
    store.fails = True
    store.turn.set()
    (hopeless,) = await claiming(engine, 0, 1)
    store.seconds += 5.0
    assert (await hopeless).outcome is Outcome.UNAVAILABLE
    store.turn.clear()
    scout, *others = await claiming(engine, 1, 20)
    assert [task.result().outcome for task in others] == [Outcome.UNAVAILABLE] * 19
    store.fails = False
    store.turn.set()
    assert (await scout).outcome is Outcome.GRANTED
    everybody = await claiming(engine, 100, 1000)
    assert {(await task).outcome for task in everybody} == {Outcome.GRANTED}
