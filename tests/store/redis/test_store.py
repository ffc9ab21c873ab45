"""What only the real store can get wrong: the script cache, lost servers, many pages, stray keys."""

import asyncio

import pytest

from claimd.domain.log import GrantsEntry
from claimd.domain.outcomes import EditOutcome, Outcome
from claimd.domain.rounds import NOT_OVER, Status
from claimd.domain.times import HOUR_MS
from claimd.store.errors import StoreUnavailable
from claimd.store.redis import keys
from claimd.store.redis.store import RedisStore
from tests.rounds import definition, identities, identity, listed, now_ms
from tests.servers import Server


def dump(server: Server) -> dict[bytes, bytes]:
    """Every key of the server as bytes."""
    with server.client() as client:
        return {key: client.dump(key) for key in client.keys("*")}


@pytest.mark.parametrize(
    "changes",
    [{"paused": True}, {"closed": True}, {"opens_at_ms": now_ms() + HOUR_MS // 2}, {"total": 2}],
    ids=["paused", "closed", "not open", "sold out"],
)
async def test_refusals_and_replays_leave_every_key_byte_identical(
    store: RedisStore, server: Server, changes: dict[str, int]
) -> None:
    """A refused claim, and a replayed one, change not one byte on the server."""
    await store.rounds.round_create(definition(total=2), "")
    await store.claims.claim("r1", identities(1, 2))
    await store.rounds.round_edit("r1", changes, "a state")
    before = dump(server)
    refused = await store.claims.claim("r1", identities(3, 1, 4, 2))
    await store.claims.claim("nowhere", identities(1))
    await store.rounds.round_edit("r1", {"total": 1}, "below issued")
    await store.rounds.round_edit("r1", {"closes_at_ms": 1}, "ends before it begins")
    await store.rounds.round_edit("nowhere", {"total": 1}, "no round")
    assert [decision.outcome is Outcome.REPLAYED for decision in refused] == [False, True, False, True]
    assert dump(server) == before


async def test_only_the_keys_of_the_design_come_into_being(store: RedisStore, server: Server) -> None:
    """A round lives in four keys, and those of a round share one hash tag."""
    await store.rounds.round_create(definition(total=2), "")
    await store.claims.claim("r1", identities(1))
    assert set(dump(server)) == {
        b"claimd:1:rounds",
        b"claimd:1:rounds:closing",
        b"claimd:1:rounds:opening",
        b"claimd:1:{r1.0}:round:r1",
        b"claimd:1:{r1.0}:claims:r1",
        b"claimd:1:{r1.0}:log",
    }


async def test_a_lost_script_cache_is_noticed_and_mended(store: RedisStore, server: Server) -> None:
    """After SCRIPT FLUSH the next claim loads the script and is granted; no caller notices."""
    await store.rounds.round_create(definition(total=9), "")
    await store.claims.claim("r1", identities(1))
    with server.client() as client:
        client.script_flush()
    (decision,) = await store.claims.claim("r1", identities(2))
    assert (decision.outcome, decision.serial) == (Outcome.GRANTED, 2)


async def test_what_was_granted_survives_a_killed_server(store: RedisStore, server: Server) -> None:
    """After SIGKILL every acknowledged claim is there again; meanwhile the store raises StoreUnavailable."""
    await store.rounds.round_create(definition(total=1000), "")
    before = [decision.serial for decision in await store.claims.claim("r1", identities(*range(200)))]
    server.kill()
    with pytest.raises(StoreUnavailable):
        await store.claims.claim("r1", identities(1))
    server.start()
    replays = await store.claims.claim("r1", identities(*range(200)))
    assert {decision.outcome for decision in replays} == {Outcome.REPLAYED}
    assert [decision.serial for decision in replays] == before


async def test_a_server_that_is_not_there() -> None:
    """Every method raises StoreUnavailable; none waits for long."""
    store = RedisStore.connect("unix:///nonexistent/socket")
    listing, claiming = store.rounds.rounds_page(NOT_OVER, None, 1), store.claims.claim("r1", identities(1))
    calls = (store.readiness.ping(), store.rounds.round("r1"), listing, claiming, store.counts.load())
    for call in calls:
        with pytest.raises(StoreUnavailable):
            await call
    await store.close()


async def test_logs_and_claims_of_many_pages_are_read_whole(store: RedisStore) -> None:
    """5,000 claims in 700 entries: every one is read, in order from the log, at least once from the claims."""
    await store.rounds.round_create(definition(total=5000), "")
    for first in range(0, 5000, 7):
        await store.claims.claim("r1", identities(*range(first, min(first + 7, 5000))))
    logged = [person async for e in store.log_reader.log("r1") if isinstance(e, GrantsEntry) for person in e.split()]
    assert logged == identities(*range(5000))
    held = {person: claim.serial async for person, claim in store.log_reader.claims("r1")}
    assert held == {identity(number): number + 1 for number in range(5000)}


async def test_a_name_in_the_list_without_a_round_is_passed_over(store: RedisStore, server: Server) -> None:
    """The name is written before the round; a crash in between must not break the list."""
    await store.rounds.round_create(definition(), "")
    with server.client() as client:
        client.sadd(keys.ROUNDS, "half-made")
    assert [item.id for item in await listed(store.rounds)] == ["r1"]


async def test_concurrent_batches_never_grant_more_than_the_stock(store: RedisStore) -> None:
    """40 batches at once with overlapping identities: exactly the stock is granted, and each identity has one claim."""
    await store.rounds.round_create(definition(total=150), "")
    batches = [identities(*range(first, first + 10)) for first in range(0, 200, 5)]
    decided = await asyncio.gather(*(store.claims.claim("r1", batch) for batch in batches))
    serials: dict[bytes, set[int]] = {}
    granted = 0
    for batch, decisions in zip(batches, decided, strict=True):
        for person, decision in zip(batch, decisions, strict=True):
            granted += decision.outcome is Outcome.GRANTED
            if decision.serial:
                serials.setdefault(person, set()).add(decision.serial)
    assert granted == 150
    assert sorted(serial for held in serials.values() for serial in held) == list(range(1, 151))


@pytest.mark.parametrize(
    ("break_it", "mend_it"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    ],
    ids=["full", "a replica"],
)
async def test_a_server_that_answers_but_cannot_decide_is_not_ready(
    store: RedisStore, server: Server, break_it: tuple[str, ...], mend_it: tuple[str, ...]
) -> None:
    """Ready means that the script can run, not that PING has a reply; the check changes nothing."""
    await store.readiness.ping()
    with server.client() as client:
        try:
            client.execute_command(*break_it)
            assert client.ping()
            with pytest.raises(StoreUnavailable):
                await store.readiness.ping()
        finally:
            client.execute_command(*mend_it)
    await store.readiness.ping()
    assert dump(server) == {}


async def test_a_clock_that_is_set_back_changes_nothing_for_a_round(store: RedisStore, server: Server) -> None:
    """A round that was open at its newest grant stays open, and nothing in it is ever older than what came before."""
    await store.rounds.round_create(definition(total=9, opens_at_ms=now_ms() - HOUR_MS), "")
    await store.claims.claim("r1", identities(1))
    # As it stands after a grant, had the server's clock been half an hour ahead then, and the round opened since.
    ahead_ms = now_ms() + HOUR_MS // 2
    with server.client() as client:
        client.hset(keys.of_round("r1").round, mapping={"last_grant_ms": ahead_ms, "opens_at_ms": ahead_ms - 60_000})
    granted, again = await store.claims.claim("r1", identities(2, 1))
    assert (granted.outcome, granted.serial, granted.claimed_at_ms) == (Outcome.GRANTED, 2, ahead_ms)
    assert again.outcome is Outcome.REPLAYED
    state = (await store.rounds.round("r1")).round
    assert state is not None
    assert state.status(now_ms()) is Status.OPEN
    edited = await store.rounds.round_edit("r1", {"paused": True}, "the clock is wrong")
    assert edited.now_ms == ahead_ms


async def test_a_clock_that_was_ahead_for_a_moment_opens_no_round(store: RedisStore, server: Server) -> None:
    """A grant from two hours ahead does not keep the round open; its time is still never gone below."""
    opens_at_ms = now_ms() + HOUR_MS
    await store.rounds.round_create(
        definition(total=9, opens_at_ms=now_ms() - HOUR_MS, closes_at_ms=now_ms() + 9 * HOUR_MS), ""
    )
    await store.claims.claim("r1", identities(1))
    ahead_ms = now_ms() + 2 * HOUR_MS
    with server.client() as client:
        client.hset(keys.of_round("r1").round, mapping={"last_grant_ms": ahead_ms, "opens_at_ms": opens_at_ms})
    again, refused = await store.claims.claim("r1", identities(1, 2))
    assert (again.outcome, refused.outcome) == (Outcome.REPLAYED, Outcome.NOT_OPEN)
    assert 0 < refused.opens_at_ms - refused.now_ms <= HOUR_MS
    state = (await store.rounds.round("r1")).round
    assert state is not None
    assert state.status(now_ms()) is Status.SCHEDULED
    await store.rounds.round_edit("r1", {"opens_at_ms": now_ms() - HOUR_MS}, "let them in")
    (granted,) = await store.claims.claim("r1", identities(2))
    assert (granted.outcome, granted.claimed_at_ms) == (Outcome.GRANTED, ahead_ms)


async def test_an_edit_of_the_window_counts_whatever_the_clock_did(store: RedisStore, server: Server) -> None:
    """With grants half an hour ahead of the clock, a postponed round refuses new claims, and opens at its time."""
    await store.rounds.round_create(
        definition(total=9, opens_at_ms=now_ms() - HOUR_MS, closes_at_ms=now_ms() + 9 * HOUR_MS), ""
    )
    await store.claims.claim("r1", identities(1))
    ahead_ms = now_ms() + HOUR_MS // 2
    with server.client() as client:
        client.hset(keys.of_round("r1").round, "last_grant_ms", ahead_ms)
    await store.rounds.round_edit("r1", {"opens_at_ms": ahead_ms - 60_000}, "later")
    (refused,) = await store.claims.claim("r1", identities(2))
    assert refused.outcome is Outcome.NOT_OPEN
    state = (await store.rounds.round("r1")).round
    assert state is not None
    assert state.status(now_ms()) is Status.SCHEDULED
    await store.rounds.round_edit("r1", {"opens_at_ms": now_ms() - 1}, "now")
    granted, next_one = await store.claims.claim("r1", identities(2, 3))
    assert (granted.outcome, granted.claimed_at_ms) == (Outcome.GRANTED, ahead_ms)
    assert next_one.outcome is Outcome.GRANTED
    # The grants since do not bind the window either, as they have the same time.
    await store.rounds.round_edit("r1", {"opens_at_ms": ahead_ms - 60_000}, "later after all")
    assert (await store.claims.claim("r1", identities(4)))[0].outcome is Outcome.NOT_OPEN


async def test_a_claim_that_is_not_that_of_the_log_is_not_voided(store: RedisStore, server: Server) -> None:
    """Where a claim was changed by hand, the audit finds it; a void does not take another claim away."""
    await store.rounds.round_create(definition(total=9), "")
    await store.claims.claim("r1", identities(1))
    with server.client() as client:
        client.hset(keys.of_round("r1").claims, identity(1), "2:1")
    voided = await store.voids.claim_void("r1", 1, bar=False, reason="fraud")
    assert voided.outcome is EditOutcome.NO_SUCH_CLAIM
    assert [claim.serial async for _, claim in store.log_reader.claims("r1")] == [2]
