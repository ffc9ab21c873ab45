"""The index of rounds: whatever is cut off or overtakes what, no round that is not over is missing from it."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from claimd.domain.outcomes import EditOutcome
from claimd.domain.rounds import ANY_STATUS, NOT_OVER, Round, Status
from claimd.domain.times import HOUR_MS
from claimd.store.errors import StoreUnavailable
from claimd.store.redis import keys
from claimd.store.redis.round_index import RoundIndex
from claimd.store.redis.store import RedisStore
from tests.patience import patient_store
from tests.rounds import definition, listed, now_ms
from tests.servers import Server

PAST = {"opens_at_ms": 1000, "closes_at_ms": 2000}


async def ids(store: RedisStore, statuses: frozenset[Status] = NOT_OVER) -> list[str]:
    """What the list has."""
    return [item.id for item in await listed(store.rounds, statuses)]


def calls_of(server: Server, command: str) -> int:
    """How often it ran so far."""
    with server.client() as client:
        stats = client.info("commandstats")
    return int(stats.get(f"cmdstat_{command}", {}).get("calls", 0))


def read_hashes(server: Server) -> int:
    """How many rounds were read so far."""
    return calls_of(server, "hgetall")


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The editing process dies before it has updated the index."""

    async def dies(*_: object) -> None:
        raise StoreUnavailable("cut off")

    monkeypatch.setattr(RoundIndex, "settle", dies)
    yield
    monkeypatch.undo()


@pytest.mark.usefixtures("cut_off")
async def test_an_edit_that_is_cut_off_leaves_no_round_out(store: RedisStore) -> None:
    """Creation, and an edit that brings a round back from being over: it is in the list before it is made."""
    with pytest.raises(StoreUnavailable):
        await store.rounds.round_create(definition("r1", **PAST), "")
    assert await ids(store) == []
    with pytest.raises(StoreUnavailable):
        await store.rounds.round_edit("r1", {"closes_at_ms": now_ms() + HOUR_MS}, "longer")
    assert await ids(store) == ["r1"]
    with pytest.raises(StoreUnavailable):
        await store.rounds.round_create(definition("r2"), "")
    assert await ids(store) == ["r1", "r2"]


async def test_an_edit_that_never_came_to_be_makes_no_round(store: RedisStore) -> None:
    """What was announced to the index and then refused, or for a round that is not there, is in no list."""
    await store.rounds.round_create(definition("r1", **PAST), "")
    later_ms = now_ms() + HOUR_MS
    refused = await store.rounds.round_edit(
        "r1", {"closes_at_ms": later_ms, "opens_at_ms": later_ms + 1}, "ends too early"
    )
    assert refused.outcome is EditOutcome.INVALID_WINDOW
    assert (
        await store.rounds.round_edit("nowhere", {"closes_at_ms": later_ms}, "?")
    ).outcome is EditOutcome.ROUND_NOT_FOUND
    assert await ids(store) == []
    assert await ids(store, ANY_STATUS) == ["r1"]


async def test_edits_that_overtake_each_other_leave_the_order_right(store: RedisStore, server: Server) -> None:
    """Forty edits of one round at once, over two stores: the index has what the round has."""
    other = patient_store(server.url)
    await store.rounds.round_create(definition("r1"), "")
    now = now_ms()
    edits = [
        (store, other)[number % 2].rounds.round_edit(
            "r1", {"opens_at_ms": now - number, "closes_at_ms": now + HOUR_MS + number}, "a window"
        )
        for number in range(40)
    ]
    await asyncio.gather(*edits)
    state = (await store.rounds.round("r1")).round
    assert state is not None
    with server.client() as client:
        assert client.zscore(keys.ROUNDS_OPENING, "r1") == state.definition.opens_at_ms
        closing = client.zscore(keys.ROUNDS_CLOSING, "r1")
    assert closing is not None
    assert closing >= state.definition.closes_at_ms
    await other.close()


async def test_an_edit_that_was_overtaken_does_not_undo_the_later_one(store: RedisStore, server: Server) -> None:
    """It writes the index last, finds that the round is not what it wrote, and writes what the round is."""
    overtaken = await store.rounds.round_create(definition("r1"), "")
    assert overtaken.round is not None
    window = {"opens_at_ms": 5, "closes_at_ms": now_ms() + 2 * HOUR_MS}
    await store.rounds.round_edit("r1", window, "later")
    await RoundIndex(store.pools.reads).settle(overtaken.round, overtaken.now_ms)
    with server.client() as client:
        assert client.zscore(keys.ROUNDS_OPENING, "r1") == window["opens_at_ms"]
        assert client.zscore(keys.ROUNDS_CLOSING, "r1") == window["closes_at_ms"]


async def test_a_round_that_was_closed_is_read_no_more(store: RedisStore, server: Server) -> None:
    """Closing is final, so its entry is lowered to that moment, however long the round would have been open."""
    for number in range(30):
        await store.rounds.round_create(definition(f"closed-{number}"), "")
        await store.rounds.round_edit(f"closed-{number}", {"closed": True}, "called off")
    await store.rounds.round_create(definition("r1"), "")
    before = read_hashes(server)
    assert await ids(store) == ["r1"]
    assert read_hashes(server) == before + 1


async def test_rounds_of_an_older_version_are_indexed_at_first_use(store: RedisStore, server: Server) -> None:
    """By several stores at once; also those that an older console creates, or cuts off, afterwards."""
    await store.rounds.round_create(definition("over", **PAST), "")
    await store.rounds.round_create(definition("closed"), "")
    await store.rounds.round_edit("closed", {"closed": True}, "called off")
    for number in range(150):
        await store.rounds.round_create(definition(f"open-{number}"), "")
    everything = set(await ids(store, ANY_STATUS))
    with server.client() as client:
        client.delete(keys.ROUNDS_CLOSING, keys.ROUNDS_OPENING)
    others = [patient_store(server.url) for _ in range(3)]
    for found in await asyncio.gather(*(ids(each) for each in others)):
        assert set(found) == everything - {"over", "closed"}
    assert set(await ids(others[0], ANY_STATUS)) == everything
    with server.client() as client:
        client.sadd(keys.ROUNDS, "half-made")
        client.zrem(keys.ROUNDS_CLOSING, "open-7")
        client.zrem(keys.ROUNDS_OPENING, "open-7")
    assert set(await ids(store)) == everything - {"over", "closed"}
    before = calls_of(server, "hmget")
    await ids(store)
    assert calls_of(server, "hmget") == before
    # What was cut off then, and is done now, is not missing either.
    await store.rounds.round_create(definition("half-made"), "")
    assert "half-made" in await ids(store)
    for each in others:
        await each.close()


async def test_an_edit_of_a_round_that_is_not_indexed_yet(store: RedisStore, server: Server) -> None:
    """The first thing that is done after an upgrade may be an edit."""
    await store.rounds.round_create(definition("r1", **PAST), "")
    await store.rounds.round_create(definition("r2"), "")
    with server.client() as client:
        client.delete(keys.ROUNDS_CLOSING, keys.ROUNDS_OPENING)
    await store.rounds.round_edit("r1", {"closes_at_ms": now_ms() + HOUR_MS}, "longer")
    assert await ids(store) == ["r1", "r2"]


async def test_a_round_that_cannot_be_read_costs_itself(
    store: RedisStore, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Another program's key, a hash that lost a field, a name that is no text: each is left out, and logged once."""
    for name in ("good", "other-type", "no-title", "no-number", "no-json"):
        await store.rounds.round_create(definition(name), "")
    with server.client() as client:
        client.delete(keys.of_round("other-type").round)
        client.set(keys.of_round("other-type").round, "a string")
        client.hdel(keys.of_round("no-title").round, "title")
        client.hset(keys.of_round("no-number").round, "total", "many")
        client.hset(keys.of_round("no-json").round, "pack", "{")
        client.sadd(keys.ROUNDS, b"\xff\xfe")
    with caplog.at_level(logging.WARNING, "claimd"):
        for _ in range(3):
            assert await ids(store) == ["good"]
            assert await ids(store, ANY_STATUS) == ["good"]
            assert [item.id for item in (await store.rounds.recent_rounds(HOUR_MS, 10)).rounds] == ["good"]
    assert len(caplog.records) == 4
    with server.client() as client:
        client.delete(keys.ROUNDS_CLOSING, keys.ROUNDS_OPENING)
    assert await ids(store) == ["good"]


async def test_what_one_request_reads_is_bounded(store: RedisStore, server: Server) -> None:
    """A page may be short, or empty, and has a next one; together they have everything."""
    with server.client() as client:
        await store.rounds.round_create(definition("model"), "")
        fields = client.hgetall(keys.of_round("model").round)
        pipeline = client.pipeline()
        for number in range(1200):
            name = f"r{number:04}"
            pipeline.hset(keys.of_round(name).round, mapping={**fields, b"id": name})
            pipeline.sadd(keys.ROUNDS, name)
        pipeline.execute()
    await store.rounds.round_create(definition("over", opens_at_ms=now_ms(), closes_at_ms=now_ms() + 1), "")
    await store.rounds.round_edit("over", {"closed": True}, "called off")
    before = read_hashes(server)
    page = await store.rounds.rounds_page(frozenset({Status.CLOSED}), None, 100)
    assert read_hashes(server) - before <= 510
    assert page.rounds == []
    assert page.next is not None
    assert await ids(store, frozenset({Status.CLOSED})) == ["over"]
    assert len(await ids(store)) == 1201


async def test_a_round_that_is_deleted_is_in_no_list(store: RedisStore, server: Server) -> None:
    """One whose removal from the index was cut off is passed over, and removed when it is deleted again or created."""
    for name in ("r1", "r2"):
        await store.rounds.round_create(definition(name), "")
    await store.rounds.round_delete("r1", "a slip")
    assert await ids(store) == await ids(store, ANY_STATUS) == ["r2"]
    with server.client() as client:
        assert client.zcard(keys.ROUNDS_OPENING) == client.zcard(keys.ROUNDS_CLOSING) == client.scard(keys.ROUNDS) == 1
        client.sadd(keys.ROUNDS, "r1")
        assert await ids(store) == await ids(store, ANY_STATUS) == ["r2"]
        client.zadd(keys.ROUNDS_OPENING, {"nowhere": 1})
        assert await ids(store) == await ids(store, ANY_STATUS) == ["r2"]
        assert client.zcard(keys.ROUNDS_OPENING) == client.scard(keys.ROUNDS) == 2
    await store.rounds.round_create(definition("r1"), "")
    assert await ids(store) == ["r2", "r1"]


async def test_a_round_that_is_created_anew_while_it_is_deleted_is_listed(
    store: RedisStore, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The removal from the index comes last, or the creation does: the round is there, and so it is listed."""
    remove = RoundIndex.remove
    other = patient_store(server.url)
    await store.rounds.round_create(definition("r1"), "")

    async def late(index: RoundIndex, round_id: str) -> None:
        await other.rounds.round_create(definition(round_id), "")
        await remove(index, round_id)

    monkeypatch.setattr(RoundIndex, "remove", late)
    await store.rounds.round_delete("r1", "a slip")
    assert await ids(store) == await ids(store, ANY_STATUS) == ["r1"]
    monkeypatch.undo()
    settle = RoundIndex.settle

    async def later(index: RoundIndex, item: Round, at_ms: int) -> None:
        await other.rounds.round_delete(item.id, "a slip")
        await settle(index, item, at_ms)

    monkeypatch.setattr(RoundIndex, "settle", later)
    await store.rounds.round_edit("r1", {"opens_at_ms": 5}, "sooner")
    assert await ids(store) == await ids(store, ANY_STATUS) == []
    with server.client() as client:
        assert client.zcard(keys.ROUNDS_OPENING) == client.zcard(keys.ROUNDS_CLOSING) == client.scard(keys.ROUNDS) == 0
    await other.close()


async def archive(store: RedisStore) -> None:
    """Have a round that left the server."""
    await store.rounds.round_create(definition("old"), "")
    await store.rounds.round_edit("old", {"closed": True}, "over")
    held: dict[str, Any] = {"version": 2, "issued": 0, "voided": 0, "sha256": "ab", "file": "f", "reason": "over"}
    assert (await store.rounds.round_archive("old", **held)).outcome is EditOutcome.DONE


def left_in_the_index(server: Server) -> set[bytes]:
    """What the set and both orders have."""
    with server.client() as client:
        orders = [set(client.zrange(key, 0, -1)) for key in (keys.ROUNDS_OPENING, keys.ROUNDS_CLOSING)]
        return set(client.smembers(keys.ROUNDS)).union(*orders)


async def test_an_archived_round_leaves_the_index_for_good(store: RedisStore, server: Server) -> None:
    """Its stub has the fields of a closed round, and its id stays taken: neither brings its name back."""
    await archive(store)
    assert left_in_the_index(server) == set()
    assert (await store.rounds.round_create(definition("old"), "")).outcome is EditOutcome.ROUND_EXISTS
    assert (
        await store.rounds.round_edit("old", {"closes_at_ms": now_ms() + HOUR_MS}, "x")
    ).outcome is EditOutcome.ARCHIVED
    assert left_in_the_index(server) == set()
    assert await ids(store, ANY_STATUS) == []


async def test_an_archiving_that_was_cut_off_leaves_no_name_behind(store: RedisStore, server: Server) -> None:
    """The script has run, the index was not updated: the next completion of the index removes the name."""
    await archive(store)
    with server.client() as client:
        client.sadd(keys.ROUNDS, "old")
    await store.rounds.round_create(definition("new"), "")
    assert await ids(store, ANY_STATUS) == ["new"]
    assert left_in_the_index(server) == {b"new"}


async def test_an_edit_that_an_archiving_overtakes_leaves_no_name_behind(store: RedisStore, server: Server) -> None:
    """The edit's settling comes last, and finds that the round has left."""
    await store.rounds.round_create(definition("old"), "")
    item = (await store.rounds.round("old")).round
    assert item is not None
    await store.rounds.round_edit("old", {"closed": True}, "over")
    held: dict[str, Any] = {"version": 2, "issued": 0, "voided": 0, "sha256": "ab", "file": "f", "reason": "over"}
    await store.rounds.round_archive("old", **held)
    await store.rounds._index.settle(item, now_ms())
    assert left_in_the_index(server) == set()
