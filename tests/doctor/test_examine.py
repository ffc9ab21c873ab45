"""What claimd says of somebody's own server, on real ones that are set up in every way that matters."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from claimd.doctor.examine import examine
from claimd.doctor.findings import Finding, Level, Report
from claimd.store.redis.acknowledgement import Durability
from tests.conftest import Pair
from tests.servers import Server


@contextmanager
def configured(server: Server, **settings: str) -> Iterator[None]:
    """Its configuration changed for a while; `_` stands for `-`."""
    with server.client() as client:
        before = {name: client.config_get(name)[name] for name in map(_dashed, settings)}  # type: ignore[index]
        try:
            _configure(server, {_dashed(name): value for name, value in settings.items()})
            yield
        finally:
            _configure(server, before)


def _configure(server: Server, settings: Mapping[str, str]) -> None:
    with server.client() as client:
        for name, value in settings.items():
            client.config_set(name, value)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def found(report: Report, check: str) -> Finding:
    """The one finding of a check."""
    (finding,) = (finding for finding in report.findings if finding.check == check)
    return finding


async def test_a_server_that_keeps_everything_is_fine(server: Server) -> None:
    """Its name and version, and a line for each question, none of which asks for anything."""
    report = await examine(server.url)
    assert report.level is Level.OK
    assert [finding.check for finding in report.findings] == [
        "server",
        "durable",
        "memory",
        "role",
        "claims",
        "secret",
        "clock",
    ]
    assert found(report, "server").says.startswith("Valkey 9." if server.kind == "valkey" else "Redis 7.0.")
    assert "on disk before it is told" in found(report, "durable").says
    assert not any(finding.advice for finding in report.findings)


async def test_looking_changes_nothing(server: Server) -> None:
    """Not a key comes into being."""
    await examine(server.url)
    with server.client() as client:
        assert client.dbsize() == 0


@pytest.mark.parametrize(
    ("settings", "level", "words"),
    [
        ({"appendfsync": "everysec"}, Level.WARNING, "the last second or two are lost"),
        ({"appendfsync": "no"}, Level.WARNING, "the last half minute may be lost"),
        ({"appendonly": "no"}, Level.WARNING, "no append-only file"),
        ({"no_appendfsync_on_rewrite": "yes"}, Level.WARNING, "not while it rewrites its file"),
    ],
    ids=["everysec", "no fsync", "no file", "not on rewrite"],
)
async def test_what_may_be_lost_is_said(server: Server, settings: dict[str, str], level: Level, words: str) -> None:
    """A weaker promise is a warning with what to do about it."""
    with configured(server, **settings):
        durable = found(await examine(server.url), "durable")
    assert durable.level is level
    assert words in durable.says
    assert durable.advice.startswith("CONFIG SET ")


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "volatile-ttl"])
async def test_a_server_that_evicts_is_refused(server: Server, policy: str) -> None:
    """Where it has a limit; without one it never comes to it."""
    with configured(server, maxmemory_policy=policy):
        assert found(await examine(server.url), "memory").level is Level.OK
        with configured(server, maxmemory="100mb"):
            memory = found(await examine(server.url), "memory")
    assert memory.level is Level.REFUSAL
    assert not memory.may_pass
    assert policy in memory.says


async def test_memory_that_is_nearly_full_is_a_warning(server: Server) -> None:
    """Before it refuses claims."""
    with configured(server, maxmemory="100mb"):
        assert "of maxmemory is used" in found(await examine(server.url), "memory").says
    with server.client() as client:
        used = int(client.info("memory")["used_memory"])  # type: ignore[index]
    with configured(server, maxmemory=str(int(used * 1.05))):
        memory = found(await examine(server.url), "memory")
    assert memory.level is Level.WARNING
    assert "every claim is answered 503" in memory.says


async def test_a_server_that_is_full_may_have_room_again(server: Server) -> None:
    """It answers everything but a claim: a refusal that a gateway waits out."""
    with configured(server, maxmemory="1"):
        claims = found(await examine(server.url), "claims")
    assert (claims.level, claims.may_pass) == (Level.REFUSAL, True)
    assert "maxmemory" in claims.says


@pytest.mark.parametrize("read_only", ["yes", "no"])
async def test_a_replica_is_refused(server: Server, read_only: str) -> None:
    """Also one that takes writes: they are gone with its next synchronisation."""
    with server.client() as client, configured(server, replica_read_only=read_only):
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            role = found(await examine(server.url), "role")
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")
    assert (role.level, role.may_pass) == (Level.REFUSAL, False)
    assert "127.0.0.1:1" in role.says


@pytest.mark.parametrize(("shift_seconds", "words"), [(-2.5, "ahead of"), (2.5, "behind")])
async def test_clocks_that_differ_are_a_warning(server: Server, shift_seconds: float, words: str) -> None:
    """It says which one is ahead, by how much, and what that does."""
    clock = found(await examine(server.url, clock=lambda: time.time() + shift_seconds), "clock")
    assert clock.level is Level.WARNING
    assert f"2.5 s {words} this machine's" in clock.says
    assert "passes expire by the gateway's" in clock.says


async def test_clocks_that_differ_a_little_are_fine(server: Server) -> None:
    """Under a second nobody notices."""
    assert found(await examine(server.url, clock=lambda: time.time() + 0.8), "clock").level is Level.OK


async def test_a_server_that_is_away_is_a_refusal_that_may_pass() -> None:
    """Without the password that its address has in it."""
    report = await examine("unix://me:hush@/nonexistent/socket")
    (only,) = report.findings
    assert (only.level, only.may_pass) == (Level.REFUSAL, True)
    assert "does not answer" in only.says
    assert "hush" not in f"{report}"


@pytest.mark.parametrize("login", ["", "nobody:wrong@"])
async def test_a_server_that_lets_nobody_in_says_so(server: Server, login: str) -> None:
    """A missing or a wrong password will not pass by itself."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "resetpass", ">hush")
        client.auth("hush")
        try:
            (only,) = (await examine(server.url.replace("unix://", f"unix://{login}"))).findings
        finally:
            client.execute_command("ACL", "SETUSER", "default", "nopass")
    assert (only.level, only.may_pass) == (Level.REFUSAL, False)
    assert "does not let claimd in" in only.says


async def confirming(pair: Pair) -> Finding:
    """What is said of the replicas once one confirms in time: on a machine that stalls it may take a second look."""
    while (replicas := found(await examine(pair.url, Durability.REPLICA), "replicas")).level is Level.REFUSAL:
        assert replicas.may_pass
    return replicas


async def test_a_replica_that_confirms_is_fine(pair: Pair) -> None:
    """With durability `replica` there is a line more; it says where the replica has it, as the server can tell."""
    while (replicas := await confirming(pair)).level is Level.WARNING:
        assert "but only after" in replicas.says
    assert ("on its disk" if pair.primary.kind == "valkey" else "in its memory") in replicas.says


async def test_no_replica_is_a_refusal_that_may_pass(server: Server) -> None:
    """Until there is one, every claim is answered 503."""
    replicas = found(await examine(server.url, Durability.REPLICA), "replicas")
    assert (replicas.level, replicas.may_pass) == (Level.REFUSAL, True)
    assert "; 0 are connected" in replicas.says


@pytest.mark.parametrize("setting", ["appendonly=no", "appendfsync=everysec"])
async def test_a_replica_that_keeps_too_little_is_found_out(pair: Pair, setting: str) -> None:
    """One whose file is on disk a second later, or never, would confirm too late: where WAITAOF asks for its disk."""
    name, value = setting.split("=")
    with pair.replica.client() as client:
        client.config_set(name, value)
    if pair.primary.kind == "redis":
        await confirming(pair)
        return
    replicas = found(await examine(pair.url, Durability.REPLICA), "replicas")
    assert (replicas.level, replicas.may_pass) == (Level.REFUSAL, True)
    assert "appendfsync always" in replicas.advice
