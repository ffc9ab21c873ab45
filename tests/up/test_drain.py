"""SIGTERM in the middle of a claim, on a real gateway: claims in flight are answered before the process ends."""

import http.client
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from claimd.domain.times import HOUR_MS
from claimd.identity.keys import Keys, identity_digest
from claimd.identity.passes import Passes
from tests.up.running import Up, eventually


def _claim(up: Up, person: str) -> bytes:
    keys = Keys.derive((up.data_dir / "secret").read_text().strip().encode())
    digest = identity_digest(keys.identity_key, person)
    text = Passes(keys.pass_key).issue_pass("r", digest, time.time_ns() // 1_000_000 + HOUR_MS)
    return f"POST /v1/rounds/r/claims HTTP/1.1\r\nHost: x\r\nAuthorization: Pass {text}\r\n\r\n".encode()


@contextmanager
def _connected(up: Up) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", up.process_file()["gateway"]["port"]), timeout=20) as client:
        yield client


def _answer(client: socket.socket) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(client, method="POST")
    response.begin()
    return response.status, response.read()


@pytest.mark.parametrize("extra", [b"", b"X: y\r\nX: z\r\n"], ids=["lane", "aiohttp"])
def test_a_claim_in_flight_is_answered_on_sigterm(tmp_path: Path, extra: bytes) -> None:
    """The gateway closes an idle connection at once, answers the claim in flight, and then ends by itself."""
    with Up(tmp_path / "data").until_ready() as up:
        up.create_round("r")
        server = Redis.from_url(up.process_file()["valkey"]["url"])
        with _connected(up) as idle, _connected(up) as waiting:
            idle.sendall(_claim(up, "ann"))
            assert _answer(idle)[0] == 201
            server.client_pause(60_000, all=False)
            waiting.sendall(_claim(up, "bob").replace(b"Host: x\r\n", b"Host: x\r\n" + extra))
            eventually(
                lambda: any(client["cmd"] == "evalsha" and "b" in client["flags"] for client in server.client_list()),
                "the claim has reached the server",
                seconds=3,
            )
            # Twice, as an orchestrator and a process group may both send it.
            up.process.send_signal(signal.SIGTERM)
            up.process.send_signal(signal.SIGTERM)
            assert idle.recv(1) == b""
            server.client_unpause()
            status, body = _answer(waiting)
            assert status == 201, body
            assert b'"serial":2' in body
            assert waiting.recv(1) == b""
        assert up.process.wait(30) == 0
        assert "killed" not in up.output
