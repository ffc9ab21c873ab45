"""Roles whose log is read by nobody: their output is a pipe that was full before they began."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.raw import connected
from tests.servers import Server
from tests.up.pipes import drained, full_pipe
from tests.up.running import clean_environment, eventually
from tests.up.test_logs import RECORD, a_gateway

SECRETS = {"CLAIMD_SECRET": "s" * 32, "CLAIMD_ADMIN_TOKEN": "t"}
ROLES = {
    "gateway": ("gateway",),
    "workers": ("gateway", "--workers", "2"),
    "console": ("console",),
    "up": ("up", "--workers", "2"),
}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def readiness(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = full_pipe()
    yield read, write
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_serves_and_stops_though_its_log_is_stuck(
    role: str, pipe: tuple[int, int], tmp_path: Path, valkey: Server
) -> None:
    """It is ready, answers, drains and ends with 0 as if somebody had read all it said."""
    read, write = pipe
    port = free_port()
    flag = "--console-port" if role == "console" else "--port"
    command = [sys.executable, "-m", "claimd", *ROLES[role], flag, str(port)]
    if role == "up":
        command += ["--console-port", "0", "--data-dir", str(tmp_path / "data")]
    environment = clean_environment() | SECRETS | {"CLAIMD_REDIS_URL": valkey.url}
    process = subprocess.Popen(command, env=environment, stdout=write, stderr=write)
    try:
        eventually(lambda: readiness(port) == 200, "ready")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    assert set(drained(read, until=b"-")) == set(b"-"), "it was full all the time"


def test_what_was_said_meanwhile_comes_when_the_reader_is_back(pipe: tuple[int, int], valkey: Server) -> None:
    """In its order, and at once."""
    read, write = pipe
    port = free_port()
    command = [sys.executable, "-m", "claimd", "gateway", "--port", str(port)]
    environment = clean_environment() | SECRETS | {"CLAIMD_REDIS_URL": valkey.url}
    process = subprocess.Popen(command, env=environment, stdout=write, stderr=write)
    try:
        eventually(lambda: readiness(port) == 200, "ready")
        said = drained(read, until=f"gateway ready on http://127.0.0.1:{port}\n".encode()).lstrip(b"-").decode()
        assert "it is the primary" in said
    finally:
        process.kill()
        process.wait()


async def test_strangers_do_not_fill_the_log(valkey: Server, tmp_path: Path) -> None:
    """400 requests that meet a bug, each with a path of its own, are two lines a second, and all are counted."""
    output = tmp_path / "output"
    began = os.times().elapsed
    with a_gateway("tests.up.buggy_claimd", valkey.url, output) as port:
        async with connected(port) as raw:
            for number in range(400):
                await raw.send(f"GET /v1/rounds/x{number}y HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                answer = await raw.answer()
                assert answer is not None
                assert answer.status == 503
        lasted = os.times().elapsed - began
    # It has stopped: what was held back to the end of the second is there, too.
    records = [line for line in output.read_text().splitlines() if RECORD.match(line)]
    assert len(records) <= 2 + 2 * lasted
    assert (
        len(records) + sum(int(more) for more in re.findall(r" … \((\d+) more like it\)$", "\n".join(records), re.M))
        == 400
    )
