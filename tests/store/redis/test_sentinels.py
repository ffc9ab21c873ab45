"""A store behind real Sentinels: it finds the primary, and follows it through failovers."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from claimd.doctor.examine import examine
from claimd.doctor.findings import Level
from claimd.domain.outcomes import Decision, EditOutcome
from claimd.store.durability import Durability
from claimd.store.errors import StoreRejected, StoreUnavailable
from claimd.store.redis.addresses import SentinelAddress, check_url
from claimd.store.redis.store import RedisStore
from tests.conftest import Pair
from tests.patience import PATIENCE_SECONDS, patient_store
from tests.rounds import definition, identities
from tests.sentinels import SERVICE, Sentinels, started, watching
from tests.servers import Server, binary, free_port


@pytest.fixture
def sentinels(pair: Pair) -> Iterator[Sentinels]:
    """Three of them, of the same kind as the servers, for this test alone."""
    with watching(pair.primary) as watchers:
        yield watchers


async def claimed(store: RedisStore, *people: int) -> list[Decision]:
    """The decisions on claims, sent again until the server has decided them, as an app does."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(StoreUnavailable):
                decisions = await store.claims.claim("r1", identities(*people))
                if all(decision.serial for decision in decisions):
                    return decisions


async def test_the_primary_is_found_and_followed(pair: Pair, sentinels: Sentinels) -> None:
    """Past a Sentinel that is down; after a kill -9 of the primary all goes to the other server."""
    store = patient_store(sentinels.url, Durability.REPLICA)
    await store.rounds.round_create(definition(total=9), "")
    before = await claimed(store, 1, 2)
    pair.primary.kill()
    assert await held(store) == {(each.serial, each.claimed_at_ms) for each in before}
    assert sentinels.primary_port() == pair.replica.port
    await store.close()
    # With no replica left nothing is confirmed; by itself the new primary decides on.
    alone = patient_store(sentinels.url)
    assert [each.serial for each in await claimed(alone, 3)] == [3]
    assert (await alone.rounds.round_edit("r1", {"total": 3}, "")).outcome is EditOutcome.DONE
    reading = await alone.rounds.round("r1")
    assert reading.round is not None
    assert (reading.round.issued, reading.round.definition.total) == (3, 3)
    await alone.close()


async def held(store: RedisStore) -> set[tuple[int, int]]:
    """Serial and time of each claim that the primary has, once there is one."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(StoreUnavailable):
                return {(claim.serial, claim.claimed_at_ms) async for _, claim in store.log_reader.claims("r1")}


async def test_a_primary_that_is_demoted_is_left(pair: Pair, sentinels: Sentinels) -> None:
    """The operator's own failover, with both servers alive: open connections to the old one are not used on."""
    store = patient_store(sentinels.url)
    await store.rounds.round_create(definition(total=99), "")
    granted = {each.serial for each in await claimed(store, *range(5))}
    with sentinels.client() as client:
        client.execute_command("SENTINEL FAILOVER", SERVICE)
    async with asyncio.timeout(PATIENCE_SECONDS):
        person = 5
        while sentinels.primary_port() != pair.replica.port:
            granted |= {each.serial for each in await claimed(store, person)}
            person += 1
    with pair.replica.client() as new, pair.primary.client() as old:
        while old.info("replication")["role"] != "slave":
            # Until then the old one grants, too: what that means is in docs/production.md.
            pass
        assert new.info("replication")["role"] == "master"
        await claimed(store, 1000)
        assert new.hexists("claimd:1:{r1.0}:claims:r1", identities(1000)[0])
    (found,) = await store.claims.find_claims("r1", identities(1000))
    assert found.serial
    await store.close()


async def test_no_call_is_sent_where_no_primary_is_known(sentinels: Sentinels) -> None:
    """Nothing was executed for certain, so the claims may be refused or sent again."""
    store = patient_store(sentinels.url.replace(f"/{SERVICE}", "/day"))
    with pytest.raises(StoreRejected, match="no Sentinel names a primary of 'day': of 4 asked, 1 did not answer"):
        await store.claims.claim("r1", identities(1))
    await store.close()


async def test_the_doctor_asks_each_sentinel(pair: Pair, sentinels: Sentinels) -> None:
    """And examines the primary that they name."""
    report = await examine(sentinels.url)
    found = {finding.check: finding for finding in report.findings}
    assert found["sentinels"].level is Level.WARNING
    assert "does not answer" in found["sentinels"].message
    assert found["role"].message == "it is the primary"
    whole = "redis+sentinel://" + ",".join(f"127.0.0.1:{port}" for port in sentinels.ports)
    report = await examine(f"{whole}/{SERVICE}")
    found = {finding.check: finding for finding in report.findings}
    assert found["sentinels"].level is Level.OK
    assert found["sentinels"].message == (f"all 3 name 127.0.0.1:{pair.primary.port} as the primary of '{SERVICE}'")
    report = await examine(f"{whole}/day")
    assert [finding.check for finding in report.findings] == ["sentinels", "server"]
    assert report.level is Level.BLOCKER
    assert "none of them knows a primary of 'day'" in report.findings[0].message


def test_an_address_of_sentinels() -> None:
    """Several hosts, with and without ports; names and passwords of both kinds of server; a database."""
    address = SentinelAddress.parse(
        "rediss+sentinel://ada:p%40ss@a,b:1,[::1]:2/the%20night/3?sentinel_username=u&sentinel_password=x%2Fy"
    )
    assert address.sentinels == (("a", 26379), ("b", 1), ("::1", 2))
    assert (address.service, address.db, address.tls) == ("the night", 3, True)
    assert address.login == {"username": "ada", "password": "p@ss"}
    assert address.sentinel_login == {"username": "u", "password": "x/y"}
    assert "p@ss" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://",
        "redis+sentinel://host",
        "redis+sentinel://host/",
        "redis+sentinel:///night",
        "redis+sentinel://a,,b/night",
        "redis+sentinel://a:x/night",
        "redis+sentinel://a:70000/night",
        "redis+sentinel://a:0/night",
        "redis+sentinel://a/night/x",
        "redis+sentinel://a/night?password=hush",
        "redis+sentinel://a/night?x",
        "redis+sentinel://:hush@[a/night",
    ],
)
def test_an_address_that_is_none(url: str) -> None:
    """One sentence, without the password."""
    with pytest.raises(ValueError, match=r"is not an address such as redis\+sentinel") as raised:
        check_url(url)
    assert "hush" not in str(raised.value)


@pytest.fixture(params=["valkey", "redis"])
def guarded(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of one server and one Sentinel, each with a password of its own."""
    if binary(request.param) is None:
        pytest.skip("no redis-server is installed")
    with ExitStack() as stack:
        server = Server.started(request.param, free_port())
        stack.callback(server.end)
        with server.client() as client:
            client.config_set("requirepass", "p/1")
        folder = Path(tempfile.mkdtemp(prefix="claimd-test-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        port, process = started(
            request.param,
            folder,
            f"requirepass s/2\nsentinel monitor {SERVICE} 127.0.0.1 {server.port} 1\n"
            f"sentinel auth-pass {SERVICE} p/1\n",
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        yield f"redis+sentinel://:p%2F1@127.0.0.1:{port}/{SERVICE}?sentinel_password=s%2F2"


async def test_servers_and_sentinels_have_logins_of_their_own(guarded: str) -> None:
    """Both are needed, and both are given."""
    store = patient_store(guarded)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(StoreUnavailable):
                await store.readiness.ping()
                break
    assert (await store.rounds.round_create(definition(), "")).outcome is EditOutcome.DONE
    await store.close()
    store = patient_store(guarded.replace("s%2F2", "wrong"))
    with pytest.raises(StoreUnavailable, match="1 did not answer"):
        await store.rounds.round("r1")
    await store.close()
