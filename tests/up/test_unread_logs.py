"""Roles without a reader of their log: their output is a pipe that was full before they started."""

import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.raw import connected
from tests.servers import Server, free_port
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
def test_a_role_serves_and_stops_with_a_full_pipe_for_its_log(
    role: str, pipe: tuple[int, int], tmp_path: Path, valkey: Server
) -> None:
    """It becomes ready, answers, drains and ends with 0 as with a reader."""
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
    assert set(drained(read, until=b"-")) == set(b"-"), "the pipe was full all the time"


def test_a_returning_reader_gets_the_lines_written_meanwhile(pipe: tuple[int, int], valkey: Server) -> None:
    """In their order, and at once."""
    read, write = pipe
    port = free_port()
    command = [sys.executable, "-m", "claimd", "gateway", "--port", str(port)]
    environment = clean_environment() | SECRETS | {"CLAIMD_REDIS_URL": valkey.url}
    process = subprocess.Popen(command, env=environment, stdout=write, stderr=write)
    try:
        eventually(lambda: readiness(port) == 200, "ready")
        lines = drained(read, until=f"gateway ready on http://127.0.0.1:{port}\n".encode()).lstrip(b"-").decode()
        assert "it is the primary" in lines
    finally:
        process.kill()
        process.wait()


async def test_clients_do_not_fill_the_log(valkey: Server, tmp_path: Path) -> None:
    """400 requests that cause an exception, each with another path, are two lines a second, which count them all."""
    output = tmp_path / "output"
    began = os.times().elapsed
    with a_gateway("tests.up.buggy_claimd", valkey.url, output) as port:
        async with connected(port) as raw:
            for number in range(400):
                await raw.send(f"GET /v1/rounds/X{number}Y HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                answer = await raw.answer()
                assert answer is not None
                assert answer.status == 503
        lasted = os.times().elapsed - began
    # It has stopped, and has written the lines that it had held back until the end of the second.
    records = [line for line in output.read_text().splitlines() if RECORD.match(line)]
    assert len(records) <= 2 + 2 * lasted
    assert (
        len(records) + sum(int(more) for more in re.findall(r" … \((\d+) more like it\)$", "\n".join(records), re.M))
        == 400
    )
