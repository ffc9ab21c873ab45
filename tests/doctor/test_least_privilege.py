"""The rule that `docs/production.md` has for claimd's user: it is enough for everything, and grants nothing in vain."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from claimd.doctor.examine import examine
from claimd.doctor.findings import Level
from claimd.domain.outcomes import EditOutcome, Outcome
from claimd.store.errors import StoreUnavailable
from claimd.store.redis.acknowledgement import Durability
from claimd.store.redis.store import RedisStore
from claimd.store.saved_counts import MergeOutcome
from tests.conftest import Pair
from tests.rounds import definition, identities, identity, listed
from tests.servers import Server

DOCUMENT = (Path(__file__).parents[2] / "docs" / "production.md").read_text()
(RULE,) = (line.split() for line in DOCUMENT.splitlines() if line.startswith("user claimd "))
PASSWORD = next(word[1:] for word in RULE if word.startswith(">"))
(REPLICA_RULE,) = (line for line in DOCUMENT.splitlines() if line.startswith("ACL SETUSER claimd "))
WAITS = [word for word in REPLICA_RULE.partition("#")[0].split() if word.startswith("+")]
GRANTED = [word for word in RULE if word.startswith("+")]


def permit(server: Server, *words: str) -> str:
    """Make the user of these words; its address."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "claimd", "reset", *words)
        client.script_flush()
        client.acl_log_reset()
    return server.url.replace("unix://", f"unix://claimd:{PASSWORD}@")


@pytest.fixture(autouse=True)
def _no_user_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """On the servers that tests share."""
    server = request.getfixturevalue("server") if "server" in request.fixturenames else None
    yield
    if server is not None:
        with server.client() as client:
            client.execute_command("ACL", "DELUSER", "claimd")


async def everything(url: str) -> list[str]:
    """Do all that claimd does; what went wrong, in words."""
    wrong: list[str] = []
    store = RedisStore.connect(url)
    try:
        wrong += [name async for name, done in _steps(store) if not done]
    except StoreUnavailable as error:
        wrong.append(f"{error}")
    finally:
        await store.close()
    report = await examine(url)
    # It may not ask for the fsync policy, and says so.
    wrong += [item.sentence for item in report.findings if item.level is not Level.OK and item.check != "durable"]
    return wrong


async def _steps(store: RedisStore) -> AsyncIterator[tuple[str, bool]]:
    """Each thing that claimd does, and whether it came out right."""
    await store.readiness.ping()
    created = await store.rounds.round_create(definition(total=2), "")
    yield "create", created.outcome is EditOutcome.DONE
    claimed = [item.outcome for item in await store.claims.claim("r1", identities(1, 2, 3, 1))]
    yield "claim", claimed == [Outcome.GRANTED, Outcome.GRANTED, Outcome.SOLD_OUT, Outcome.REPLAYED]
    yield "edit", (await store.rounds.round_edit("r1", {"paused": True}, "why")).outcome is EditOutcome.DONE
    yield "round", (await store.rounds.round("r1")).round is not None
    yield "rounds", [item.id for item in await listed(store.rounds)] == ["r1"]
    yield "held", (await store.claims.find_claim("r1", identity(1))).claim is not None
    yield "log", len([entry async for entry in store.log_reader.log("r1")]) == 3
    yield "claims", len([item async for item in store.log_reader.claims("r1")]) == 2
    await store.rounds.round_edit("r1", {"closed": True}, "over")
    held = {"version": 3, "issued": 2, "sha256": "ab", "file": "f", "reason": "over"}
    yield "archive", (await store.rounds.round_archive("r1", **held)).outcome is EditOutcome.DONE
    await store.counts.save("w", None, 0, {"failed_calls": 7})
    yield "counts", await store.counts.merge("w", silent_ms=0) is MergeOutcome.MERGED
    await store.counts.settle({"failed_calls": "other"})
    yield "settled", (await store.counts.load()).past == {b"other": b"7"}


async def test_the_rule_is_enough_for_everything(server: Server) -> None:
    """Claims, edits, reading, metrics and the checks work for the documented user, with the scripts not yet loaded."""
    url = permit(server, *RULE[2:])
    assert await everything(url) == []
    with server.client() as client:
        assert [entry["object"] for entry in client.acl_log()] == ["config|get"]


@pytest.mark.parametrize("command", GRANTED)
async def test_nothing_is_granted_in_vain(server: Server, command: str) -> None:
    """Without any one of its commands something breaks, and the checks name the command that is missing."""
    url = permit(server, *(word for word in RULE[2:] if word != command))
    wrong = await everything(url)
    assert wrong
    assert (
        command[1:].replace("|", " ").upper() in f"{[item.sentence for item in (await examine(url)).findings]}".upper()
    )


def known(server: Server, words: list[str]) -> list[str]:
    """Those that name a command which this server has."""
    return [word for word in words if word != "+waitaof" or server.kind == "valkey"]


async def test_the_rule_for_confirmations_is_enough(pair: Pair) -> None:
    """Claims and edits are confirmed by a replica for the documented user."""
    permit(pair.primary, *RULE[2:], *known(pair.primary, WAITS))
    url = pair.url.replace("unix://", f"unix://claimd:{PASSWORD}@")
    store = RedisStore.connect(url, Durability.REPLICA)
    # A machine that stalls may hold a confirmation up.
    await until_told(lambda: store.rounds.round_create(definition(), ""))
    await until_told(lambda: store.rounds.round_edit("r1", {"total": 5}, ""))
    while (await store.claims.claim("r1", identities(1)))[0].outcome is Outcome.UNAVAILABLE:
        pass
    await until_told(lambda: store.claims.find_claim("r1", identity(1)))
    await store.close()
    while found := [item for item in (await examine(url, Durability.REPLICA)).findings if item.check == "replicas"]:
        assert "may not" not in found[0].says
        if found[0].level is not Level.REFUSAL:
            break


async def until_told(ask: Callable[[], Awaitable[object]]) -> None:
    """Ask again for as long as the store does not know."""
    while True:
        with suppress(StoreUnavailable):
            await ask()
            return


@pytest.mark.parametrize("command", WAITS)
async def test_nothing_is_granted_in_vain_for_confirmations(pair: Pair, command: str) -> None:
    """The checks name what is missing."""
    waits = known(pair.primary, WAITS)
    if command not in waits:
        pytest.skip("this server has no such command")
    permit(pair.primary, *RULE[2:], *(word for word in waits if word != command))
    url = pair.url.replace("unix://", f"unix://claimd:{PASSWORD}@")
    (missing,) = (item for item in (await examine(url, Durability.REPLICA)).findings if item.level is Level.REFUSAL)
    assert f"'{command[1:]}' command" in missing.says
    assert not missing.may_pass


async def test_other_keys_than_claimds_are_not_enough(server: Server) -> None:
    """The checks name the keys, too."""
    url = permit(server, *("~claimd:2:*" if word.startswith("~") else word for word in RULE[2:]))
    (missing,) = (item for item in (await examine(url)).findings if item.level is Level.REFUSAL)
    assert missing.says == "claimd's user may not use keys that begin with claimd:1:"


@pytest.mark.parametrize(
    "command",
    [
        "FLUSHALL",
        "FLUSHDB",
        "CONFIG SET maxmemory 1",
        "CONFIG GET requirepass",
        "KEYS *",
        "DEL foreign",
        "GET foreign",
        "HGETALL foreign",
        "HSET foreign field value",
        "DEL claimd:1:rounds",
        "UNLINK foreign",
        "EVAL return 0",
        "SCRIPT FLUSH",
        "ACL LIST",
        "REPLICAOF NO ONE",
        "SHUTDOWN NOSAVE",
        "DEBUG SLEEP 0",
        "MONITOR",
        "SUBSCRIBE channel",
        "PUBLISH channel word",
        "CLIENT KILL TYPE normal",
    ],
)
def test_the_rest_is_refused(server: Server, command: str) -> None:
    """Whoever steals the address can change nothing but claimd's own keys."""
    url = permit(server, *RULE[2:])
    client = redis.Redis.from_url(url, protocol=2, driver_info=None)
    with client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command.split())
