"""With durability `replica`, only what a replica has is acknowledged: grants, replays, lookups, edits."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from redis.exceptions import NoPermissionError, ResponseError

from claimd.domain.outcomes import EditOutcome, Outcome
from claimd.store.durability import Durability
from claimd.store.errors import StoreRejected, StoreUnavailable
from claimd.store.redis.acknowledgement import PATIENCE_MS, ReplicaAck, is_confirmed
from claimd.store.redis.store import RedisStore
from tests.conftest import Pair
from tests.patience import patient_store
from tests.rounds import definition, identities, identity
from tests.store.redis.test_store import dump

MISSING = ResponseError("unknown command 'WAITAOF', with args beginning with: '1' '1' '5' ")
NO_FILE = ResponseError("WAITAOF cannot be used when numlocal is set but appendonly is disabled.")


@pytest.fixture
async def sure(pair: Pair) -> AsyncIterator[RedisStore]:
    """A store that acknowledges what a replica has, and a round with two packs."""
    store = patient_store(pair.url, Durability.REPLICA)
    while True:
        with suppress(StoreUnavailable):
            if (await store.rounds.round_create(definition(total=2), "")).round is not None:
                break
    yield store
    await store.close()


@pytest.fixture
async def hasty(pair: Pair, sure: RedisStore) -> AsyncIterator[RedisStore]:
    """A store on the same server that acknowledges at once."""
    store = patient_store(pair.url)
    await store.readiness.ping()
    yield store
    await store.close()


async def acknowledged(store: RedisStore, *people: int) -> list[int]:
    """The serials, 0 for a refusal; claims until all are acknowledged, as a slow machine may delay a confirmation."""
    while True:
        decisions = await store.claims.claim("r1", identities(*people))
        if all(decision.outcome is not Outcome.UNAVAILABLE for decision in decisions):
            return [decision.serial for decision in decisions]


async def outcomes(store: RedisStore, *people: int) -> list[Outcome]:
    """What becomes of their claims."""
    return [decision.outcome for decision in await store.claims.claim("r1", identities(*people))]


async def test_what_a_replica_has_is_acknowledged_at_once(sure: RedisStore) -> None:
    """A confirmation takes milliseconds: not the second after which a replica reports its disk by itself."""
    assert await acknowledged(sure, 1) == [1]
    began = time.monotonic()
    for _ in range(10):
        assert await acknowledged(sure, 1) == [1]
    assert time.monotonic() - began < 5


async def test_a_grant_that_no_replica_has_is_not_acknowledged(pair: Pair, sure: RedisStore) -> None:
    """Unknown, and so it stays until a replica has it: then asking again gives the claim."""
    pair.replica.freeze()
    assert await outcomes(sure, 1) == [Outcome.UNAVAILABLE]
    assert await outcomes(sure, 1) == [Outcome.UNAVAILABLE]
    pair.replica.thaw()
    assert await acknowledged(sure, 1) == [1]


async def test_a_replay_is_not_acknowledged_before_a_replica_has_the_claim(
    pair: Pair, sure: RedisStore, hasty: RedisStore
) -> None:
    """Though this connection wrote nothing: WAIT alone would return at once, as there is nothing to wait for."""
    pair.replica.freeze()
    assert await outcomes(hasty, 1) == [Outcome.GRANTED]
    assert await outcomes(sure, 1) == [Outcome.UNAVAILABLE]
    found = await sure.claims.find_claims("r1", [identity(2), identity(1)])
    assert [decision.outcome for decision in found] == [Outcome.NOT_CLAIMED, Outcome.UNAVAILABLE]


async def test_refusals_need_no_replica(pair: Pair, sure: RedisStore) -> None:
    """In a batch with claims that do, and by themselves, again and again, without waiting for long each time."""
    assert await acknowledged(sure, 1) == [1]
    pair.replica.freeze()
    assert await outcomes(sure, 1, 2, 3, 4) == [
        Outcome.UNAVAILABLE,
        Outcome.UNAVAILABLE,
        Outcome.SOLD_OUT,
        Outcome.SOLD_OUT,
    ]
    began = time.monotonic()
    for _ in range(5):
        assert await outcomes(sure, 3) == [Outcome.SOLD_OUT]
        assert await outcomes(sure, 1, 4) == [Outcome.UNAVAILABLE, Outcome.SOLD_OUT]
    assert time.monotonic() - began < 10 * PATIENCE_MS / 1000
    assert (await sure.rounds.round_edit("r1", {"total": 1}, "too little")).outcome is EditOutcome.TOTAL_BELOW_ISSUED


async def test_an_edit_that_no_replica_has_is_not_acknowledged(pair: Pair, sure: RedisStore) -> None:
    """Nor a round that was created: the operator asks again."""
    pair.replica.freeze()
    with pytest.raises(StoreUnavailable, match="no replica has confirmed"):
        await sure.rounds.round_edit("r1", {"paused": True}, "stop")
    with pytest.raises(StoreUnavailable, match="no replica has confirmed"):
        await sure.rounds.round_create(definition("r2"), "")
    pair.replica.thaw()
    for _ in range(1000):
        with suppress(StoreUnavailable):
            assert (await sure.rounds.round_edit("r1", {"paused": True}, "stop")).outcome is EditOutcome.DONE
            break
    item = (await sure.rounds.round("r1")).round
    assert item is not None
    assert item.paused


async def test_without_a_replica_nothing_is_acknowledged(pair: Pair, sure: RedisStore) -> None:
    """The grants of a primary that is cut off from all replicas are never acknowledged."""
    assert await acknowledged(sure, 1) == [1]
    await asyncio.to_thread(pair.replica.kill)
    assert await outcomes(sure, 1, 2, 3) == [Outcome.UNAVAILABLE, Outcome.UNAVAILABLE, Outcome.SOLD_OUT]


async def test_only_what_is_rewritten_is_written(pair: Pair, sure: RedisStore) -> None:
    """A replay writes what is there already, a refusal nothing, so that every key stays as it is."""
    await acknowledged(sure, 1, 2)
    with pair.primary.client() as client:

        def written() -> int:
            return int(client.info("persistence")["aof_current_size"])

        keys, size = dump(pair.primary), written()
        assert await acknowledged(sure, 3, 4) == [0, 0]
        assert written() == size
        assert await acknowledged(sure, 1, 3) == [1, 0]
        assert written() > size
        assert dump(pair.primary) == keys


async def test_a_lost_script_cache_is_mended_with_a_confirmation(pair: Pair, sure: RedisStore) -> None:
    """The replies to what followed the call that could not be made are read, too, or the next would get them."""
    with pair.primary.client() as client:
        client.script_flush()
    assert await acknowledged(sure, 1) == [1]
    assert await acknowledged(sure, 1) == [1]


async def test_a_refused_call_leaves_no_reply_behind(pair: Pair, sure: RedisStore) -> None:
    """An error in place of the script's reply has the confirmation's replies behind it."""
    with pair.primary.client() as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(StoreRejected):
            await sure.claims.claim("r1", identities(1))
        client.config_set("maxmemory", "0")
    assert await acknowledged(sure, 1) == [1]


async def test_a_server_without_a_file_has_it_in_two_memories(pair: Pair, sure: RedisStore) -> None:
    """WAITAOF is for servers with an append-only file; WAIT goes without."""
    with pair.primary.client() as client:
        client.config_set("appendonly", "no")
    assert await acknowledged(sure, 1) == [1]
    pair.replica.freeze()
    assert await outcomes(sure, 2) == [Outcome.UNAVAILABLE]


@pytest.mark.parametrize(
    ("replies", "confirmed"),
    [
        ((1, [1, 1]), True),
        ((1, [1, 0]), False),
        ((1, [0, 1]), False),
        ((0, [1, 1]), True),
        ((1, MISSING), True),
        ((0, MISSING), False),
        ((1, NO_FILE), True),
        ((0, NO_FILE), False),
        ((1, NoPermissionError("this user has no permissions to run the 'waitaof' command")), False),
        ((NoPermissionError("this user has no permissions to run the 'wait' command"), MISSING), False),
        ((ResponseError("WAIT cannot be used with replica instances."), MISSING), False),
    ],
)
def test_what_counts_as_a_confirmation(replies: tuple[object, object], confirmed: bool) -> None:
    """Whatever is not clear is none."""
    assert is_confirmed(replies) is confirmed


def test_a_round_that_exists_is_acknowledged_once_a_replica_has_it() -> None:
    """It may have been created by a call without a confirmation: a retry must not acknowledge it."""
    replicated = ReplicaAck(lambda: 0.0)
    with pytest.raises(StoreUnavailable):
        replicated.require_confirmed_edit(EditOutcome.ROUND_EXISTS, (0, MISSING))
    replicated.require_confirmed_edit(EditOutcome.ROUND_EXISTS, (1, MISSING))


def test_patience_comes_back() -> None:
    """After a confirmation that was needed, or after a while; one that waited for nothing is no sign of life."""
    now = 0.0
    replicated = ReplicaAck(lambda: now)
    patient = replicated.confirmation_commands()
    with pytest.raises(StoreUnavailable):
        replicated.require_confirmed_edit(EditOutcome.DONE, (0, MISSING))
    assert replicated.confirmation_commands() != patient
    replicated.require_confirmed_edit(EditOutcome.TOTAL_BELOW_ISSUED, (1, MISSING))
    assert replicated.confirmation_commands() != patient
    replicated.require_confirmed_edit(EditOutcome.DONE, (1, MISSING))
    assert replicated.confirmation_commands() == patient
    replicated.require_confirmed_edit(EditOutcome.TOTAL_BELOW_ISSUED, (0, MISSING))
    now = 1.9
    assert replicated.confirmation_commands() != patient
    now = 2.0
    assert replicated.confirmation_commands() == patient


async def test_an_archiving_that_no_replica_has_is_not_acknowledged(pair: Pair, sure: RedisStore) -> None:
    """Its outcome is unknown; asked again, it waits for the replica, though the round has left already."""
    held: dict[str, Any] = {"version": 2, "issued": 0, "voided": 0, "sha256": "ab", "file": "f", "reason": "over"}
    while True:
        with suppress(StoreUnavailable):
            await sure.rounds.round_edit("r1", {"closed": True}, "over", if_version=1)
            break
    pair.replica.freeze()
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="no replica has confirmed"):
            await sure.rounds.round_archive("r1", **held)
    assert (await sure.rounds.round("r1")).archived is not None
    pair.replica.thaw()
    for _ in range(1000):
        with suppress(StoreUnavailable):
            assert (await sure.rounds.round_archive("r1", **held)).outcome is EditOutcome.DONE
            return
    pytest.fail("it was never confirmed")
