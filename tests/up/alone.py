"""One role of claimd as a process of its own on an external server, as a container runs it."""

import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.up.running import clean_environment, eventually

SECRET = "s" * 32
ADMIN_TOKEN = "t"


@dataclass
class Alone:
    """The process of one role, what it prints, and its address."""

    process: subprocess.Popen[bytes]
    output_path: Path

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.output_path.read_text()

    @property
    def address(self) -> str:
        """`http://host:port`; waits until it listens."""
        (line,) = eventually(lambda: [line for line in self.output.splitlines() if " ready on " in line], "ready on")
        return str(line.split()[-1])

    def readiness(self) -> int:
        """The status of `GET /readyz`."""
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=10)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status
        finally:
            connection.close()


@contextmanager
def alone(
    role: str, tmp_path: Path, url: str, durability: str = "local", open_files: int | None = None
) -> Iterator[Alone]:
    """Run a role on a free port, with a limit of `open_files` if that is given; kill it at the end."""
    prefix = () if open_files is None else ("sh", "-c", f'ulimit -n {open_files}; exec "$@"', "sh")
    flag = "--port" if role == "gateway" else "--console-port"
    environment = {
        "CLAIMD_REDIS_URL": url,
        "CLAIMD_DURABILITY": durability,
        "CLAIMD_SECRET": SECRET,
        "CLAIMD_ADMIN_TOKEN": ADMIN_TOKEN,
    }
    output_path = tmp_path / f"{role}-{time.monotonic_ns()}.out"
    with output_path.open("wb") as output:
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "claimd", role, flag, "0"],
            env=clean_environment() | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Alone(process, output_path)
    finally:
        process.kill()
        process.wait()
