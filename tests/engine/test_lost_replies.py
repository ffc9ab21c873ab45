"""A batch without a reply is sent again within its deadline, and no outcome is reported that may be untrue."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from claimd.domain.outcomes import Decision, Outcome
from claimd.engine.batcher import BatchLimits
from claimd.engine.engine import ClaimEngine
from claimd.metrics.counts import Counts
from claimd.store.errors import StoreRejected, StoreUnavailable
from claimd.store.memory import MemoryStore
from tests.patience import PATIENCE_SECONDS
from tests.rounds import definition, identities, identity, now_ms

Fault = Callable[["FaultyStore", str, Sequence[bytes]], Awaitable[list[Decision]]]


class FaultyStore(MemoryStore):
    """The model; each call meets the next of its `faults`, and none once they are used up."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(now_ms)
        self.faults = list(faults)
        self.calls: list[list[bytes]] = []

    async def claim(self, round_id: str, identities: Sequence[bytes], epoch: int = 0) -> list[Decision]:
        """As the model, or as the fault has it."""
        self.calls.append(list(identities))
        if self.faults:
            return await self.faults.pop(0)(self, round_id, identities)
        return await self.decide(round_id, identities)

    async def decide(self, round_id: str, identities: Sequence[bytes]) -> list[Decision]:
        """As the model."""
        return await super().claim(round_id, identities)


async def lost_after_commit(store: FaultyStore, round_id: str, people: Sequence[bytes]) -> list[Decision]:
    """The claims are decided, but the reply is lost."""
    await store.decide(round_id, people)
    raise StoreUnavailable("the reply was lost")


async def lost_before_commit(store: FaultyStore, round_id: str, people: Sequence[bytes]) -> list[Decision]:
    """The request is lost, which the caller cannot distinguish from a lost reply."""
    raise StoreUnavailable("the request was lost")


async def rejected(store: FaultyStore, round_id: str, people: Sequence[bytes]) -> list[Decision]:
    """The server rejects the call, and does nothing."""
    raise StoreRejected("loading")


async def outcomes_of(engine: ClaimEngine, *people: bytes) -> list[Outcome]:
    """The outcomes of identities that claim at the same time."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        decisions = await asyncio.gather(*(engine.claim("r1", person) for person in people))
    return [decision.outcome for decision in decisions]


@pytest.mark.parametrize("fault", [lost_after_commit, lost_before_commit, rejected])
async def test_a_batch_without_a_reply_is_sent_again(fault: Fault) -> None:
    """A fault that has passed costs no claim a 503: each identity has one claim, whichever call granted it."""
    store = FaultyStore(fault, fault)
    await store.round_create(definition(total=10), "")
    outcomes = await outcomes_of(ClaimEngine(store, counts := Counts()), *identities(1, 2, 3))
    granted_by = Outcome.REPLAYED if fault is lost_after_commit else Outcome.GRANTED
    assert outcomes == [granted_by] * 3
    assert store.calls == [identities(1, 2, 3)] * 3
    assert counts.failed_calls == 2
    item = (await store.round("r1")).round
    assert item is not None
    assert item.issued == 3


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [(lost_before_commit, Outcome.UNAVAILABLE), (rejected, Outcome.SOLD_OUT)],
    ids=["lost", "rejected"],
)
@pytest.mark.parametrize("held", [1, 2])
async def test_a_claim_that_may_yet_be_granted_is_not_reported_as_refused(
    fault: Fault, outcome: Outcome, held: int
) -> None:
    """A call with unknown outcome may still reach the server when there is stock again; a rejected one will not."""
    store = FaultyStore()
    await store.round_create(definition(total=held), "")
    engine = ClaimEngine(store, Counts())
    await outcomes_of(engine, *identities(*range(held)))
    store.faults = [fault]
    assert await outcomes_of(engine, identity(0), identity(9)) == [Outcome.REPLAYED, outcome]


async def test_a_first_call_that_arrives_late_contradicts_no_outcome() -> None:
    """The lost call reaches the server after its retry: no identity has two claims, and none got a refusal."""
    arrived = asyncio.Event()
    late: list[asyncio.Task[list[Decision]]] = []

    async def late_commit(store: FaultyStore, round_id: str, people: Sequence[bytes]) -> list[Decision]:
        async def arrive() -> list[Decision]:
            await arrived.wait()
            return await store.decide(round_id, people)

        late.append(asyncio.create_task(arrive()))
        raise StoreUnavailable("no answer in time")

    store = FaultyStore(late_commit)
    await store.round_create(definition(total=1), "")
    engine = ClaimEngine(store, Counts())
    assert await outcomes_of(engine, *identities(1, 2)) == [Outcome.GRANTED, Outcome.UNAVAILABLE]
    await store.round_edit("r1", {"total": 2}, "one more")
    arrived.set()
    await late[0]
    assert await outcomes_of(engine, *identities(1, 2)) == [Outcome.REPLAYED, Outcome.REPLAYED]


async def test_past_its_deadline_a_claim_is_not_sent_again() -> None:
    """The older half of a batch is UNAVAILABLE at its deadline; the younger half is sent again, and granted."""
    seconds = 100.0
    gathered = asyncio.Event()

    async def takes_long(store: FaultyStore, round_id: str, people: Sequence[bytes]) -> list[Decision]:
        await gathered.wait()
        return await store.decide(round_id, people)

    async def is_lost(store: FaultyStore, round_id: str, people: Sequence[bytes]) -> list[Decision]:
        nonlocal seconds
        seconds += 2.0
        raise StoreUnavailable("no answer in time")

    store = FaultyStore(takes_long, is_lost)
    await store.round_create(definition(total=10), "")
    limits = BatchLimits(max_wait_seconds=60.0, deadline_seconds=4.0)
    engine = ClaimEngine(store, Counts(), limits, lambda: seconds)
    asked = []
    for number in range(3):
        asked.append(asyncio.create_task(outcomes_of(engine, identity(number))))
        # Three turns: the task, the claim's own task, the call.
        for _ in range(3):
            await asyncio.sleep(0)
        seconds += 1.5
    gathered.set()
    assert await asyncio.gather(*asked) == [[Outcome.GRANTED], [Outcome.UNAVAILABLE], [Outcome.GRANTED]]
    assert store.calls == [[identity(0)], identities(1, 2), [identity(2)]]
