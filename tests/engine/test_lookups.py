"""Lookups of claims share calls that change nothing, and wait for no claim."""

import asyncio
from collections.abc import Sequence

import pytest

from claimd.domain.outcomes import Decision, Outcome
from claimd.engine.batcher import CALLS_IN_FLIGHT
from claimd.engine.engine import ClaimEngine
from claimd.metrics.counts import Counts
from claimd.store.errors import StoreUnavailable
from claimd.store.memory import MemoryStore
from tests.patience import patient_store
from tests.rounds import definition, identity, now_ms
from tests.servers import Server


class SlowClaims(MemoryStore):
    """Decides no claim before `let_go` is set; notes the size of each lookup call, and fails the first `failures`."""

    def __init__(self) -> None:
        super().__init__(now_ms)
        self.let_go = asyncio.Event()
        self.lookups: list[int] = []
        self.failures = 0

    async def claim(self, round_id: str, identities: Sequence[bytes], epoch: int = 0) -> list[Decision]:
        """See `ClaimStore.claim`."""
        await self.let_go.wait()
        return await super().claim(round_id, identities, epoch)

    async def find_claims(self, round_id: str, identities: Sequence[bytes]) -> list[Decision]:
        """See `ClaimStore.find_claims`."""
        self.lookups.append(len(identities))
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("lost")
        return await super().find_claims(round_id, identities)


async def test_a_crowd_shares_calls(valkey: Server) -> None:
    """Two hundred who hold a claim and two hundred who do not, each with the right answer, by a real server."""
    store = patient_store(valkey.url)
    await store.rounds.round_create(definition(total=1000), "")
    granted = await store.claims.claim("r1", [identity(number) for number in range(200)])
    engine = ClaimEngine(store.claims, Counts())
    found = await asyncio.gather(*(engine.find_claim("r1", identity(number)) for number in range(400)))
    await store.close()
    assert [(decision.serial, decision.claimed_at_ms) for decision in found[:200]] == [
        (decision.serial, decision.claimed_at_ms) for decision in granted
    ]
    assert {decision.outcome for decision in found[:200]} == {Outcome.REPLAYED}
    assert {decision.outcome for decision in found[200:]} == {Outcome.NOT_CLAIMED}


async def test_lookups_do_not_wait_for_claims() -> None:
    """While every claim call of the round hangs."""
    store = SlowClaims()
    await store.round_create(definition(total=1000), "")
    engine = ClaimEngine(store, Counts())
    claims = [asyncio.ensure_future(engine.claim("r1", identity(number))) for number in range(CALLS_IN_FLIGHT * 600)]
    found = await engine.find_claim("r1", identity(1))
    assert found.outcome is Outcome.NOT_CLAIMED
    store.let_go.set()
    await asyncio.gather(*claims)


async def test_a_lost_lookup_is_repeated_and_answered() -> None:
    """It changes nothing: the answer of the second call is right, whatever became of the first."""
    store = SlowClaims()
    await store.round_create(definition(), "")
    store.failures = 1
    found = await ClaimEngine(store, Counts()).find_claim("r1", identity(1))
    assert found.outcome is Outcome.NOT_CLAIMED
    assert store.lookups == [1, 1]


@pytest.mark.parametrize("round_id", ["none", "r1"])
async def test_lookups_are_not_counted_as_claims(round_id: str) -> None:
    """The counters of claims and batches are about claims alone."""
    store, counts = SlowClaims(), Counts()
    await store.round_create(definition(), "")
    await ClaimEngine(store, counts).find_claim(round_id, identity(1))
    assert not counts.claims
