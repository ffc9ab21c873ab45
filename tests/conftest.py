"""Servers: one of each kind for each test process, emptied before each test, shared with no other."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from claimd.store.redis.store import RedisStore
from tests.servers import Server, binary, free_port


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how to run more seeds where some were run: the suite has only so much time for them."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    if any(report.nodeid.startswith("tests/simulation/") for report in reports):
        terminalreporter.write_line("more seeds of the simulation: python -m tests.simulation --seeds 10000")


@pytest.fixture(scope="session")
def _valkey_process() -> Iterator[Server]:
    server = Server.start("valkey")
    yield server
    server.close()


@pytest.fixture(scope="session")
def _redis_process() -> Iterator[Server]:
    if binary("redis") is None:
        pytest.skip("no redis-server is installed")
    server = Server.start("redis")
    yield server
    server.close()


def emptied(server: Server) -> Server:
    """The server without a single key, started again if a test had killed it."""
    if server.process is None or server.process.poll() is not None:
        server.run()
    with server.client() as client:
        client.flushall()
        client.script_flush()
    return server


@pytest.fixture
def valkey(_valkey_process: Server) -> Server:
    """The embedded Valkey, empty."""
    return emptied(_valkey_process)


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each kind of server there is, empty."""
    return emptied(request.getfixturevalue(f"_{request.param}_process"))


@pytest.fixture
async def store(server: Server) -> AsyncIterator[RedisStore]:
    """The real store, on each kind of server."""
    store = RedisStore.connect(server.url)
    yield store
    await store.close()


@dataclass
class Pair:
    """A primary with a replica that may be frozen, and an address that may be pointed at either."""

    primary: Server
    replica: Server
    link: Path

    @property
    def url(self) -> str:
        """Where `link` points to."""
        return f"unix://{self.link}"

    def point_at(self, server: Server) -> None:
        """Whoever connects from now on is at this one."""
        fresh = self.link.with_name("fresh")
        fresh.symlink_to(server.folder / "s")
        fresh.replace(self.link)

    def cut(self) -> None:
        """The replica hears nothing any more; not even what was sent to it already will be read."""
        self.replica.freeze()
        with self.primary.client() as client:
            client.client_kill_filter(_type="replica")

    def fail_over(self) -> None:
        """The primary dies, the replica takes its place and its address."""
        self.primary.kill()
        self.replica.thaw()
        with self.replica.client() as client:
            client.replicaof("NO", "ONE")
        self.point_at(self.replica)


@pytest.fixture(params=["valkey", "redis"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Of each kind of server there is, used by one test only."""
    if binary(request.param) is None:
        pytest.skip("no redis-server is installed")
    with ExitStack() as stack:
        primary, replica = (Server.start(request.param, free_port()) for _ in range(2))
        stack.callback(primary.close)
        stack.callback(replica.close)
        replica.replicate(primary)
        made = Pair(primary, replica, replica.folder / "address")
        made.point_at(primary)
        yield made
