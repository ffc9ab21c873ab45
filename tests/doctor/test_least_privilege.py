"""The ACL rule in `docs/production.md` for claimd's user: it is sufficient, and every permission in it is needed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from claimd.doctor.examine import examine
from claimd.doctor.findings import Level
from claimd.domain.outcomes import EditOutcome, Outcome
from claimd.store.durability import Durability
from claimd.store.errors import StoreUnavailable
from claimd.store.redis.store import RedisStore
from claimd.store.saved_counts import MergeOutcome
from tests.conftest import Pair
from tests.patience import patient_store
from tests.rounds import definition, identities, identity, listed
from tests.servers import Server

DOCUMENT = (Path(__file__).parents[2] / "docs" / "production.md").read_text()
(RULE,) = (line.split() for line in DOCUMENT.splitlines() if line.startswith("user claimd "))
PASSWORD = next(word[1:] for word in RULE if word.startswith(">"))
(REPLICA_RULE,) = (line for line in DOCUMENT.splitlines() if line.startswith("ACL SETUSER claimd "))
WAITS = [word for word in REPLICA_RULE.partition("#")[0].split() if word.startswith("+")]
GRANTED = [word for word in RULE if word.startswith("+")]


def permit(server: Server, *words: str) -> str:
    """Create the user with these ACL words; returns the address with its login."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "claimd", "reset", *words)
        client.script_flush()
        client.acl_log_reset()
    return server.url.replace("unix://", f"unix://claimd:{PASSWORD}@")


@pytest.fixture(autouse=True)
def _remove_the_user(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests share the servers: the user must not stay."""
    server = request.getfixturevalue("server") if "server" in request.fixturenames else None
    yield
    if server is not None:
        with server.client() as client:
            client.execute_command("ACL", "DELUSER", "claimd")


async def everything(url: str) -> list[str]:
    """Do all that claimd does; returns the steps that failed, the error, and findings that are not fine."""
    wrong: list[str] = []
    store = patient_store(url)
    try:
        wrong += [name async for name, done in _steps(store) if not done]
    except StoreUnavailable as error:
        wrong.append(f"{error}")
    finally:
        await store.close()
    report = await examine(url)
    # The user may not read the fsync policy, which is a warning.
    wrong += [item.sentence for item in report.findings if item.level is not Level.OK and item.check != "durable"]
    return wrong


async def _steps(store: RedisStore) -> AsyncIterator[tuple[str, bool]]:
    """Do each thing that claimd does; yields its name, and whether the result is right."""
    await store.readiness.ping()
    created = await store.rounds.round_create(definition(total=2), "")
    yield "create", created.outcome is EditOutcome.DONE
    claimed = [item.outcome for item in await store.claims.claim("r1", identities(1, 2, 3, 1))]
    yield "claim", claimed == [Outcome.GRANTED, Outcome.GRANTED, Outcome.SOLD_OUT, Outcome.REPLAYED]
    yield "edit", (await store.rounds.round_edit("r1", {"paused": True}, "why")).outcome is EditOutcome.DONE
    yield "round", (await store.rounds.round("r1")).round is not None
    yield "rounds", [item.id for item in await listed(store.rounds)] == ["r1"]
    yield "held", (await store.claims.find_claims("r1", [identity(1)]))[0].serial > 0
    yield "log", len([entry async for entry in store.log_reader.log("r1")]) == 3
    yield "claims", len([item async for item in store.log_reader.claims("r1")]) == 2
    voided = await store.voids.claim_void("r1", 1, bar=True, reason="why")
    yield "void", voided.outcome is EditOutcome.DONE
    yield "voids", len([item async for item in store.log_reader.voids("r1")]) == 1
    await store.rounds.round_edit("r1", {"closed": True}, "over")
    archived = await store.rounds.round_archive(
        "r1", version=3, issued=2, voided=1, sha256="ab", file="f", reason="over"
    )
    yield "archive", archived.outcome is EditOutcome.DONE
    await store.counts.save("w", None, 0, {"failed_calls": 7})
    yield "counts", await store.counts.merge("w", silent_ms=0) is MergeOutcome.MERGED
    await store.counts.settle({"failed_calls": "other"})
    yield "settled", (await store.counts.load()).past == {b"other": b"7"}


async def test_the_rule_is_sufficient(server: Server) -> None:
    """Claims, edits, reads, metrics and checks work for the documented user, also when no script is loaded yet."""
    url = permit(server, *RULE[2:])
    assert await everything(url) == []
    with server.client() as client:
        assert [entry["object"] for entry in client.acl_log()] == ["config|get"]


@pytest.mark.parametrize("command", GRANTED)
async def test_every_permission_is_needed(server: Server, command: str) -> None:
    """Without any one of the permitted commands a step fails, and the checks name that command."""
    url = permit(server, *(word for word in RULE[2:] if word != command))
    wrong = await everything(url)
    assert wrong
    assert (
        command[1:].replace("|", " ").upper() in f"{[item.sentence for item in (await examine(url)).findings]}".upper()
    )


def supported(server: Server, words: list[str]) -> list[str]:
    """The ACL words for commands that this server has."""
    return [word for word in words if word != "+waitaof" or server.kind == "valkey"]


async def test_the_rule_for_confirmations_is_sufficient(pair: Pair) -> None:
    """Claims and edits are confirmed by a replica for the documented user."""
    permit(pair.primary, *RULE[2:], *supported(pair.primary, WAITS))
    url = pair.url.replace("unix://", f"unix://claimd:{PASSWORD}@")
    store = patient_store(url, Durability.REPLICA)
    # On a busy machine a confirmation may time out.
    await until_answered(lambda: store.rounds.round_create(definition(), ""))
    await until_answered(lambda: store.rounds.round_edit("r1", {"total": 5}, ""))
    while (await store.claims.claim("r1", identities(1)))[0].outcome is Outcome.UNAVAILABLE:
        pass
    await until_answered(lambda: store.claims.find_claims("r1", [identity(1)]))
    await store.close()
    while found := [item for item in (await examine(url, Durability.REPLICA)).findings if item.check == "replicas"]:
        assert "may not" not in found[0].message
        if found[0].level is not Level.BLOCKER:
            break


async def until_answered(call: Callable[[], Awaitable[object]]) -> None:
    """Retry while the outcome is unknown."""
    while True:
        with suppress(StoreUnavailable):
            await call()
            return


@pytest.mark.parametrize("command", WAITS)
async def test_every_permission_for_confirmations_is_needed(pair: Pair, command: str) -> None:
    """The checks name the command that is missing."""
    waits = supported(pair.primary, WAITS)
    if command not in waits:
        pytest.skip("this server has no such command")
    permit(pair.primary, *RULE[2:], *(word for word in waits if word != command))
    url = pair.url.replace("unix://", f"unix://claimd:{PASSWORD}@")
    (missing,) = (item for item in (await examine(url, Durability.REPLICA)).findings if item.level is Level.BLOCKER)
    assert f"'{command[1:]}' command" in missing.message
    assert not missing.may_pass


async def test_a_rule_with_other_keys_is_not_sufficient(server: Server) -> None:
    """The checks name the prefix of the keys that are missing."""
    url = permit(server, *("~claimd:2:*" if word.startswith("~") else word for word in RULE[2:]))
    (missing,) = (item for item in (await examine(url)).findings if item.level is Level.BLOCKER)
    assert missing.message == "claimd's user may not use keys that begin with claimd:1:"


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
def test_all_other_commands_are_rejected(server: Server, command: str) -> None:
    """With a stolen address only claimd's own keys can be changed."""
    url = permit(server, *RULE[2:])
    client = redis.Redis.from_url(url, protocol=2, driver_info=None)
    with client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command.split())  # type: ignore[no-untyped-call]
