"""A round that cannot be read is left out: the others are listed, one line is logged, without a traceback."""

import logging
from typing import Any

import pytest
import redis

from claimd.domain.outcomes import Outcome
from claimd.store.errors import StoreDamaged, StoreUnavailable
from claimd.store.redis import keys
from claimd.store.redis.damage import round_or_damage
from claimd.store.redis.store import RedisStore
from tests.http import serving
from tests.http.serving import ADMIN
from tests.patience import patient_store
from tests.rounds import definition, identities, listed
from tests.servers import Server

DAMAGES: dict[str, dict[str, Any]] = {
    "no number": {"total": "many"},
    "no JSON": {"pack": "{"},
    "no object": {"eligibility": "[]"},
    "no text": {"title": b"\xff"},
    "a time that cannot be spelled": {"opens_at_ms": 10**18},
    "a time before 1970": {"closes_at_ms": -1},
}


@pytest.mark.parametrize("damage", [*DAMAGES, "a field is gone", "another type"])
async def test_a_damaged_round_costs_that_round(
    store: RedisStore, server: Server, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It alone is unavailable; lists, metrics and all other rounds are as before."""
    for round_id in ("good", "bad"):
        await store.rounds.round_create(definition(round_id), "")
    with server.client() as client:
        key = keys.of_round("bad").round
        if damage == "a field is gone":
            client.hdel(key, "title")
        elif damage == "another type":
            client.set(key, "x")
        else:
            client.hset(key, mapping=DAMAGES[damage])
    caplog.set_level(logging.ERROR)
    for _ in range(3):
        assert [item.id for item in await listed(store.rounds)] == ["good"]
    assert len([record for record in caplog.records if "'bad'" in record.getMessage()]) == 1
    with pytest.raises(StoreDamaged, match="'bad'"):
        await store.rounds.round("bad")
    assert (await store.claims.claim("good", identities(1)))[0].outcome is Outcome.GRANTED
    async with serving.gateway(server.url) as gateway, serving.console(server.url) as console:
        async with gateway.http.get("/v1/rounds") as answer:
            assert [item["id"] for item in (await answer.json())["rounds"]] == ["good"]
        async with gateway.http.get("/v1/rounds/bad") as answer:
            assert (answer.status, (await answer.json(content_type=None))["code"]) == (503, "unavailable")
        async with console.http.get("/metrics", headers=ADMIN) as answer:
            assert 'claimd_stock_remaining{round="good"}' in await answer.text()
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_mended_round_is_listed_again(store: RedisStore, server: Server) -> None:
    """Nothing of the damage is remembered."""
    await store.rounds.round_create(definition(), "")
    with server.client() as client:
        client.hset(keys.of_round("r1").round, "total", "x")
        assert await listed(store.rounds) == []
        client.hset(keys.of_round("r1").round, "total", "3")
    assert [item.id for item in await listed(store.rounds)] == ["r1"]


async def test_a_name_that_is_none_is_passed_over(store: RedisStore, server: Server) -> None:
    """Whatever another program has written into the set of names."""
    await store.rounds.round_create(definition(), "")
    with server.client() as client:
        client.sadd(keys.ROUNDS, b"\xff\xfe")
    assert [item.id for item in await listed(store.rounds)] == ["r1"]


@pytest.mark.parametrize(
    "reply",
    [
        redis.exceptions.MovedError("12182 127.0.0.1:7001"),
        redis.exceptions.AskError("12182 127.0.0.1:7001"),
        redis.exceptions.TryAgainError("Multiple keys request during rehashing of slot"),
        redis.exceptions.ClusterDownError("Hash slot not served"),
    ],
)
def test_a_round_that_is_elsewhere_costs_that_round(reply: Exception) -> None:
    """As where a round was created on a node of a cluster that has only its name."""
    assert isinstance(round_or_damage("r1", reply), StoreDamaged)


@pytest.mark.parametrize(
    "reply",
    [
        redis.exceptions.ClusterDownError("The cluster is down"),
        redis.exceptions.BusyLoadingError("Redis is loading the dataset in memory"),
        redis.exceptions.NoPermissionError("this user has no permissions to run the 'hgetall' command"),
    ],
)
def test_what_is_about_the_server_is_no_damage(reply: Exception) -> None:
    """An empty list would be a lie."""
    with pytest.raises(type(reply)):
        round_or_damage("r1", reply)


@pytest.mark.parametrize("missing", ["evalsha", "sadd", "hset"])
async def test_a_create_that_fails_leaves_the_list_as_it_was(server: Server, missing: str) -> None:
    """A user who may not do all of it: the list answers, before and after."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "u", "reset", "on", "nopass", "~*", "+@all", f"-{missing}")
    store = patient_store(server.url.replace("unix://", "unix://u:p@"))
    try:
        with pytest.raises(StoreUnavailable):
            await store.rounds.round_create(definition(), "")
        assert [item.id for item in await listed(store.rounds)] == []
    finally:
        await store.close()
        with server.client() as client:
            client.execute_command("ACL", "DELUSER", "u")
