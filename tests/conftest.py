"""Servers: one of each kind for each test process, emptied before each test, shared with no other."""

from collections.abc import AsyncIterator, Iterator

import pytest

from claimd.store.redis_store import RedisStore
from tests.servers import Server, binary


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
