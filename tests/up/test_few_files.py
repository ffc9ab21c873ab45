"""A low limit of open files, and strangers that open all connections: the role recovers when the server is back."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import emptied
from tests.servers import Server
from tests.up.alone import Alone, alone
from tests.up.running import eventually

OPEN_FILES = 300
STRANGERS = 290
READY = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def external_server() -> Iterator[Server]:
    """A server that this test may restart."""
    server = Server.started("valkey")
    yield server
    server.end()


def _status(connection: socket.socket) -> int:
    connection.sendall(READY)
    return int(connection.recv(65_536)[9:12])


def _connect(role: Alone) -> socket.socket:
    address = urlsplit(role.address)
    return socket.create_connection((address.hostname, address.port), timeout=20)


@pytest.mark.parametrize("role", ["gateway", "console"])
def test_a_server_that_restarts_is_found_again_though_all_connections_are_taken(
    external_server: Server, tmp_path: Path, role: str
) -> None:
    """Connections above the bound are closed, an accepted one sees the server again, and the log stays short."""
    with alone(role, tmp_path, external_server.url, open_files=OPEN_FILES) as running, ExitStack() as stack:
        assert running.readiness() == 200
        accepted = stack.enter_context(_connect(running))
        assert _status(accepted) == 200
        strangers = [stack.enter_context(_connect(running)) for _ in range(STRANGERS)]
        external_server.kill()
        eventually(lambda: _status(accepted) == 503, "not ready")
        # These also take the descriptors that the connections to the server had.
        strangers += [stack.enter_context(_connect(running)) for _ in range(STRANGERS)]
        emptied(external_server)
        eventually(lambda: _status(accepted) == 200, "ready")
        for stranger in strangers:
            stranger.close()
        eventually(lambda: running.readiness() == 200, "new connections are accepted")
        assert f"limit of open files is {OPEN_FILES}" in running.output
        lines = running.output.splitlines()
        assert len(lines) < 60, running.output
