"""A limit of open files that is low, and strangers who take all connections there are: claims go on, and come back."""

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
def own() -> Iterator[Server]:
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
    own: Server, tmp_path: Path, role: str
) -> None:
    """Those beyond the bound are closed, those inside see the server again, and the log stays short."""
    with alone(role, tmp_path, own.url, open_files=OPEN_FILES) as running, ExitStack() as stack:
        assert running.readiness() == 200
        inside = stack.enter_context(_connect(running))
        assert _status(inside) == 200
        strangers = [stack.enter_context(_connect(running)) for _ in range(STRANGERS)]
        own.kill()
        eventually(lambda: _status(inside) == 503, "the server is away")
        # They take whatever is free, what the connections to the server have left, too.
        strangers += [stack.enter_context(_connect(running)) for _ in range(STRANGERS)]
        emptied(own)
        eventually(lambda: _status(inside) == 200, "the server is back")
        for stranger in strangers:
            stranger.close()
        eventually(lambda: running.readiness() == 200, "new connections are taken again")
        assert f"limit of open files is {OPEN_FILES}" in running.output
        lines = running.output.splitlines()
        assert len(lines) < 60, running.output
