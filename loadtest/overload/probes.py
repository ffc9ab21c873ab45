"""Probes claimd's health and console, and the gateway's memory, ten times a second, in a process of its own.

`python -m loadtest.overload.probes` reads its plan, a JSON object, from the variable PROBES, and writes a line for each
probe until it is stopped. Each request has a connection of its own, as a load balancer's check has.
"""

import http.client
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from loadtest.overload.environment import Environment
from loadtest.target import children, claimd_up

READYZ, CONSOLE_READYZ, CONSOLE_ROUND = "/readyz", "console /readyz", "console round"
# Longer than a load balancer waits, so that a slow answer is measured and not taken for none.
_TIMEOUT_SECONDS: Final = 10.0
_INTERVAL_SECONDS: Final = 0.1
_MEMORY: Final = "memory"
_VARIABLE: Final = "PROBES"

_writing = threading.Lock()


@dataclass(slots=True)
class ProbeLog:
    """The samples of the probes, at monotonic times in seconds.

    `samples`: name → (sent at, seconds, status, which is 0 without an answer). `rss`: (at, bytes) of the gateway.
    """

    samples: dict[str, list[tuple[float, float, int]]] = field(default_factory=dict)
    rss: list[tuple[float, int]] = field(default_factory=list)

    def add(self, line: str) -> None:
        """Add one line that a probe wrote."""
        name, at, *rest = json.loads(line)
        if name == _MEMORY:
            self.rss.append((at, rest[0]))
        else:
            self.samples.setdefault(name, []).append((at, *rest))


@contextmanager
def running(environment: Environment, round_id: str, log: Path) -> Iterator[ProbeLog]:
    """Probe until the context is left; the probe log is filled from then on. Raises TargetError."""
    claimd, probe_log = environment.claimd, ProbeLog()
    bearer = {"Authorization": f"Bearer {claimd.admin_token}"}
    plan = {
        "gateway": environment.gateway.pid,
        "requests": [
            (READYZ, claimd.port, "/readyz", {}),
            (CONSOLE_READYZ, claimd.console_port, "/readyz", {}),
            (CONSOLE_ROUND, claimd.console_port, f"/admin/v1/rounds/{round_id}", bearer),
        ],
    }
    variables = claimd_up.inherited_environment() | {_VARIABLE: json.dumps(plan)}
    command = [sys.executable, "-m", "loadtest.overload.probes"]
    with children.running(command, variables, log, cwd=claimd_up.ROOT) as child:
        yield probe_log
        if child.poll() is not None:
            raise children.TargetError(f"the probes ended early\n{children.tail(log)}")
    # The stop may have cut off the last line.
    for line in log.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            probe_log.add(line)


def _probe(name: str, port: int, path: str, headers: Mapping[str, str]) -> None:
    while True:
        sent_at, status = time.monotonic(), 0
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request("GET", path, headers=dict(headers))
            response = connection.getresponse()
            response.read()
            status = response.status
        except (OSError, http.client.HTTPException):
            status = 0
        finally:
            connection.close()
        _write(name, sent_at, time.monotonic() - sent_at, status)
        time.sleep(max(0.0, sent_at + _INTERVAL_SECONDS - time.monotonic()))


def _write(*values: object) -> None:
    with _writing:
        print(json.dumps(values), flush=True)


def main() -> None:
    """Probe ten times a second until killed."""
    plan = json.loads(os.environ[_VARIABLE])
    for request in plan["requests"]:
        threading.Thread(target=_probe, args=request, daemon=True).start()
    gateway = psutil.Process(plan["gateway"])
    while True:
        _write(_MEMORY, time.monotonic(), gateway.memory_info().rss)
        time.sleep(_INTERVAL_SECONDS)


if __name__ == "__main__":
    main()
