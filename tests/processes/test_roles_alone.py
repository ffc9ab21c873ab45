"""`claimd gateway` and `claimd console`, each alone on somebody's own server, as a container runs them."""

import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.processes.running import clean_environment, eventually
from tests.servers import Server

ROLES = ["gateway", "console"]


@dataclass
class Alone:
    """One role: what it says, and its answers."""

    process: subprocess.Popen[bytes]
    output_path: Path

    @property
    def output(self) -> str:
        """What it has said so far."""
        return self.output_path.read_text()

    def readiness(self) -> int:
        """The status of /readyz, once it listens."""
        (line,) = eventually(lambda: [line for line in self.output.splitlines() if " ready on " in line], "ready on")
        connection = http.client.HTTPConnection(urlsplit(line.split()[-1]).netloc, timeout=10)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status
        finally:
            connection.close()


@contextmanager
def alone(role: str, tmp_path: Path, url: str) -> Iterator[Alone]:
    """Run it on a free port."""
    flag = "--port" if role == "gateway" else "--console-port"
    environment = {"CLAIMD_REDIS_URL": url, "CLAIMD_SECRET": "s" * 32, "CLAIMD_ADMIN_TOKEN": "t"}
    output_path = tmp_path / f"{role}-{time.monotonic_ns()}.out"
    with output_path.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "claimd", role, flag, "0"],
            env=clean_environment() | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Alone(process, output_path)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("role", ROLES)
def test_a_role_says_what_the_server_keeps_and_waits_for_one_that_is_away(role: str, tmp_path: Path) -> None:
    """It starts without its server, answers 503, and is ready as soon as the server is there."""
    server = Server("valkey", tmp_path)
    try:
        with alone(role, tmp_path, server.url) as waiting:
            assert waiting.readiness() == 503
            assert "REFUSAL: it does not answer" in waiting.output
            assert "until it does, claims are answered 503" in waiting.output
            server.run()
            eventually(lambda: waiting.readiness() == 200, "ready")
        with alone(role, tmp_path, server.url) as told:
            assert told.readiness() == 200
            assert "durable   every grant is on disk before it is told" in told.output
    finally:
        if server.process is not None:
            server.kill()


@pytest.mark.parametrize("role", ROLES)
def test_a_role_refuses_a_server_that_cannot_do(role: str, tmp_path: Path, valkey: Server) -> None:
    """In a line with what to do, before it listens."""
    with valkey.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            with alone(role, tmp_path, valkey.url) as refused:
                assert refused.process.wait(20) == 1
                assert refused.output == (
                    f"claimd: the server at {valkey.url} cannot be used: it is a replica of 127.0.0.1:1; "
                    "name the primary, or promote it: REPLICAOF NO ONE\n"
                )
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")
