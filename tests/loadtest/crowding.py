"""Runs Locust against the stub in processes of their own: gevent's patches must not reach the tests' process."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.client.signing_keys import new_jwks
from loadtest.target.children import running
from tests.loadtest.stub_claimd import SECRET, TOKEN

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


@dataclass
class Ran:
    """What a run left: its exit code, its report (empty where there is none) and its log."""

    exit_code: int
    report: dict[str, Any]
    output: str


@contextmanager
def stub(folder: Path, *faults: str) -> Iterator[str]:
    """Run a stub claimd with these faults; its URL."""
    port_file = folder / "port"
    process = subprocess.Popen([sys.executable, str(HERE / "stub_claimd.py"), str(port_file), *faults])
    try:
        give_up = time.monotonic() + 30
        while not port_file.exists():
            assert process.poll() is None
            assert time.monotonic() < give_up
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port_file.read_text()}"
    finally:
        process.kill()
        process.wait()


def crowd(folder: Path, url: str, *arguments: str, locustfile: str = "loadtest/locustfile.py") -> Ran:
    """Run a small drop with Locust's own command line."""
    jwks = folder / "jwks.json"
    jwks.write_text(new_jwks())
    out = folder / "out"
    command = [
        *(sys.executable, "-m", "locust", "-f", locustfile, "--headless", "--only-summary"),
        *(f"--host={url}", f"--console-url={url}", f"--jwks={jwks}", f"--out={out}", *arguments),
    ]
    environment = os.environ | {"CLAIMD_SECRET": SECRET, "CLAIMD_ADMIN_TOKEN": TOKEN}
    log = folder / "locust.log"
    with running(command, environment, log, ROOT) as process:
        exit_code = process.wait(60)
    written = out / "report.json"
    return Ran(exit_code, json.loads(written.read_text()) if written.exists() else {}, log.read_text())


def channel() -> list[str]:
    """Options that give Locust's master and workers a port that no other run uses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [f"--master-bind-port={port}", f"--master-port={port}", "--master-bind-host=127.0.0.1"]
