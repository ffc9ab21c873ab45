"""Fixtures of servers: each test process starts one of each kind and empties it before each test that uses it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from claimd.store.redis.store import RedisStore
from tests.patience import patient_store
from tests.servers import Server, binary, free_port
from tests.up.stopped import copy_data, make_data_with_claims


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how to run more seeds of the simulation after a run that had some: the suite has time for a few only."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    if any(report.nodeid.startswith("tests/simulation/") for report in reports):
        terminalreporter.write_line("more seeds of the simulation: python -m tests.simulation --seeds 10000")


@pytest.fixture(scope="session")
def _valkey_process() -> Iterator[Server]:
    server = Server.started("valkey")
    yield server
    server.end()


@pytest.fixture(scope="session")
def _redis_process() -> Iterator[Server]:
    if binary("redis") is None:
        pytest.skip("no redis-server is installed")
    server = Server.started("redis")
    yield server
    server.end()


def emptied(server: Server) -> Server:
    """Remove all keys and scripts from the server, which is started again if a test killed it; return it."""
    if server.process is None or server.process.poll() is not None:
        server.start()
    with server.client() as client:
        client.flushall()
        client.script_flush()
    return server


@pytest.fixture
def valkey(_valkey_process: Server) -> Server:
    """An empty Valkey of the version that claimd embeds."""
    return emptied(_valkey_process)


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> Server:
    """An empty server; the test runs once for Valkey and once for Redis."""
    return emptied(request.getfixturevalue(f"_{request.param}_process"))


@pytest.fixture
async def store(server: Server) -> AsyncIterator[RedisStore]:
    """A store on an empty server, of each kind in turn."""
    store = patient_store(server.url)
    yield store
    await store.close()


@pytest.fixture(scope="session")
def _data_with_claims(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("stopped") / "data"
    make_data_with_claims(data)
    return data


@pytest.fixture
def data_with_claims(_data_with_claims: Path, tmp_path: Path) -> Path:
    """A data directory with claims, as an orderly stop leaves it; a copy for this test."""
    return copy_data(_data_with_claims, tmp_path / "data")


@dataclass
class Pair:
    """A primary and its replica, and an address that may point to either: a symbolic link to a unix socket."""

    primary: Server
    replica: Server
    link: Path

    @property
    def url(self) -> str:
        """The address that does not change in a failover."""
        return f"unix://{self.link}"

    def point_at(self, server: Server) -> None:
        """Make the address lead to this server, for connections from now on."""
        fresh = self.link.with_name("fresh")
        fresh.symlink_to(server.folder / "s")
        fresh.replace(self.link)

    def cut(self) -> None:
        """Cut the replica off: it receives no more writes, and does not read those that were sent before."""
        self.replica.freeze()
        with self.primary.client() as client:
            client.client_kill_filter(_type="replica")

    def fail_over(self) -> None:
        """Kill the primary; the replica becomes primary and gets the address."""
        self.primary.kill()
        self.replica.thaw()
        with self.replica.client() as client:
            client.replicaof("NO", "ONE")
        self.point_at(self.replica)


@pytest.fixture(params=["valkey", "redis"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """A primary with a replica, of each kind of server in turn, for this test alone."""
    if binary(request.param) is None:
        pytest.skip("no redis-server is installed")
    with ExitStack() as stack:
        primary, replica = (Server.started(request.param, free_port()) for _ in range(2))
        stack.callback(primary.end)
        stack.callback(replica.end)
        replica.replicate(primary)
        made = Pair(primary, replica, replica.folder / "address")
        made.point_at(primary)
        yield made
