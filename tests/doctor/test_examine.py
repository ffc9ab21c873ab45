"""The report on an external server, on real ones with every configuration that matters."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from claimd.doctor.examine import examine
from claimd.doctor.findings import Finding, Level, Report
from claimd.store.durability import Durability
from tests.conftest import Pair
from tests.servers import Server


@contextmanager
def configured(server: Server, **settings: str) -> Iterator[None]:
    """Change a server's configuration while the block runs; `_` in a name stands for `-`."""
    with server.client() as client:
        before = {name: client.config_get(name)[name] for name in map(_parameter, settings)}
        try:
            _configure(server, {_parameter(name): value for name, value in settings.items()})
            yield
        finally:
            _configure(server, before)


def _configure(server: Server, settings: Mapping[str, str]) -> None:
    with server.client() as client:
        for name, value in settings.items():
            client.config_set(name, value)


def _parameter(name: str) -> str:
    return name.replace("_", "-")


def found(report: Report, check: str) -> Finding:
    """The only finding of a check."""
    (finding,) = (finding for finding in report.findings if finding.check == check)
    return finding


async def test_a_durable_server_is_fine(server: Server) -> None:
    """There is one finding for each check, the first with name and version, and none has advice."""
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
    assert found(report, "server").message.startswith("Valkey 9." if server.kind == "valkey" else "Redis 7.0.")
    assert "on disk before it is acknowledged" in found(report, "durable").message
    assert not any(finding.advice for finding in report.findings)


async def test_the_checks_change_nothing(server: Server) -> None:
    """No key is created."""
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
async def test_weaker_durability_is_a_warning(
    server: Server, settings: dict[str, str], level: Level, words: str
) -> None:
    """It describes what may be lost, and gives the command that changes it."""
    with configured(server, **settings):
        durable = found(await examine(server.url), "durable")
    assert durable.level is level
    assert words in durable.message
    assert durable.advice.startswith("CONFIG SET ")


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "volatile-ttl"])
async def test_a_server_that_evicts_is_rejected(server: Server, policy: str) -> None:
    """Only with a memory limit: without one nothing is evicted."""
    with configured(server, maxmemory_policy=policy):
        assert found(await examine(server.url), "memory").level is Level.OK
        with configured(server, maxmemory="100mb"):
            memory = found(await examine(server.url), "memory")
    assert memory.level is Level.BLOCKER
    assert not memory.may_pass
    assert policy in memory.message


async def test_memory_that_is_nearly_full_is_a_warning(server: Server) -> None:
    """It comes before the server rejects claims."""
    with configured(server, maxmemory="100mb"):
        assert "of maxmemory is used" in found(await examine(server.url), "memory").message
    with server.client() as client:
        used = int(client.info("memory")["used_memory"])
    with configured(server, maxmemory=str(int(used * 1.05))):
        memory = found(await examine(server.url), "memory")
    assert memory.level is Level.WARNING
    assert "every claim is answered 503" in memory.message


async def test_full_memory_is_a_blocker_that_may_pass(server: Server) -> None:
    """The server answers everything but a claim: gateways start, and wait."""
    with configured(server, maxmemory="1"):
        claims = found(await examine(server.url), "claims")
    assert (claims.level, claims.may_pass) == (Level.BLOCKER, True)
    assert "maxmemory" in claims.message


@pytest.mark.parametrize("read_only", ["yes", "no"])
async def test_a_replica_is_rejected(server: Server, read_only: str) -> None:
    """Also one that accepts writes, which are gone with its next synchronisation."""
    with server.client() as client, configured(server, replica_read_only=read_only):
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            role = found(await examine(server.url), "role")
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")
    assert (role.level, role.may_pass) == (Level.BLOCKER, False)
    assert "127.0.0.1:1" in role.message


@pytest.mark.parametrize(("shift_seconds", "words"), [(-2.5, "ahead of"), (2.5, "behind")])
async def test_clocks_that_differ_are_a_warning(server: Server, shift_seconds: float, words: str) -> None:
    """It names the one that is ahead, by how much, and the consequence."""
    clock = found(await examine(server.url, clock=lambda: time.time() + shift_seconds), "clock")
    assert clock.level is Level.WARNING
    assert f"2.5 s {words} this machine's" in clock.message
    assert "passes expire by the gateway's" in clock.message


async def test_clocks_that_differ_a_little_are_fine(server: Server) -> None:
    """A difference below a second has no visible effect."""
    assert found(await examine(server.url, clock=lambda: time.time() + 0.8), "clock").level is Level.OK


async def test_a_server_that_is_down_is_a_blocker_that_may_pass() -> None:
    """The report lacks the password of the address."""
    report = await examine("unix://me:hush@/nonexistent/socket")
    (only,) = report.findings
    assert (only.level, only.may_pass) == (Level.BLOCKER, True)
    assert "does not answer" in only.message
    assert "hush" not in f"{report}"


@pytest.mark.parametrize("login", ["", "user:wrong@"])
async def test_a_rejected_login_is_a_blocker(server: Server, login: str) -> None:
    """A missing or wrong password does not pass without a change."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "resetpass", ">hush")
        client.auth("hush")
        try:
            (only,) = (await examine(server.url.replace("unix://", f"unix://{login}"))).findings
        finally:
            client.execute_command("ACL", "SETUSER", "default", "nopass")
    assert (only.level, only.may_pass) == (Level.BLOCKER, False)
    assert "does not let claimd in" in only.message


async def confirming(pair: Pair) -> Finding:
    """The finding on replicas once one confirms in time; on a busy machine the first tries may time out."""
    while (replicas := found(await examine(pair.url, Durability.REPLICA), "replicas")).level is Level.BLOCKER:
        assert replicas.may_pass
    return replicas


async def test_a_replica_that_confirms_is_fine(pair: Pair) -> None:
    """With durability `replica` there is one more finding; it names the replica's disk or memory, as the server can."""
    while (replicas := await confirming(pair)).level is Level.WARNING:
        assert "but only after" in replicas.message
    assert ("on its disk" if pair.primary.kind == "valkey" else "in its memory") in replicas.message


async def test_no_replica_is_a_blocker_that_may_pass(server: Server) -> None:
    """Until there is one, every claim is answered 503."""
    replicas = found(await examine(server.url, Durability.REPLICA), "replicas")
    assert (replicas.level, replicas.may_pass) == (Level.BLOCKER, True)
    assert "; 0 are connected" in replicas.message


@pytest.mark.parametrize("setting", ["appendonly=no", "appendfsync=everysec"])
async def test_a_replica_that_syncs_too_late_is_recognised(pair: Pair, setting: str) -> None:
    """One that syncs its file once a second, or has none, confirms too late; only WAITAOF waits for its disk."""
    name, value = setting.split("=")
    with pair.replica.client() as client:
        client.config_set(name, value)
    if pair.primary.kind == "redis":
        await confirming(pair)
        return
    replicas = found(await examine(pair.url, Durability.REPLICA), "replicas")
    assert (replicas.level, replicas.may_pass) == (Level.BLOCKER, True)
    assert "appendfsync always" in replicas.advice
