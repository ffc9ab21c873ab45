"""Looks at claimd as its operators do, and at the gateway's memory, ten times a second, in a process of its own.

`python -m loadtest.overload.probes` reads its orders, a JSON object, from the variable PROBES, and writes a line for
each look until it is stopped. Each look is a connection of its own, as a balancer's is.
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

from loadtest.overload.environment import Stage
from loadtest.target import children, claimd_up

READYZ, CONSOLE_READYZ, CONSOLE_ROUND = "/readyz", "console /readyz", "console round"
# A balancer's patience is a second or so; this is what tells slow from dead.
_TIMEOUT_SECONDS: Final = 10.0
_EVERY_SECONDS: Final = 0.1
_MEMORY: Final = "memory"
_VARIABLE: Final = "PROBES"

_writing = threading.Lock()


@dataclass(slots=True)
class Seen:
    """What the probes saw. `looks`: name → (when it began, seconds, status; 0 for no answer); `rss`: (when, bytes)."""

    looks: dict[str, list[tuple[float, float, int]]] = field(default_factory=dict)
    rss: list[tuple[float, int]] = field(default_factory=list)

    def add(self, line: str) -> None:
        """One line of a probe's."""
        name, at, *rest = json.loads(line)
        if name == _MEMORY:
            self.rss.append((at, rest[0]))
        else:
            self.looks.setdefault(name, []).append((at, *rest))


@contextmanager
def looking(stage: Stage, round_id: str, log: Path) -> Iterator[Seen]:
    """Probe until it is left; what was seen is there from then on."""
    claimd, seen = stage.claimd, Seen()
    shown = {"Authorization": f"Bearer {claimd.admin_token}"}
    orders = {
        "gateway": stage.gateway.pid,
        "looks": [
            (READYZ, claimd.port, "/readyz", {}),
            (CONSOLE_READYZ, claimd.console_port, "/readyz", {}),
            (CONSOLE_ROUND, claimd.console_port, f"/admin/v1/rounds/{round_id}", shown),
        ],
    }
    environment = claimd_up.inherited_environment() | {_VARIABLE: json.dumps(orders)}
    command = [sys.executable, "-m", "loadtest.overload.probes"]
    with children.running(command, environment, log, cwd=claimd_up.ROOT) as child:
        yield seen
        if child.poll() is not None:
            raise children.TargetError(f"the probes ended by themselves\n{children.tail(log)}")
    # A last line may be cut off by the stop.
    for line in log.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            seen.add(line)


def _look(name: str, port: int, path: str, headers: Mapping[str, str]) -> None:
    while True:
        began, status = time.monotonic(), 0
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
        _write(name, began, time.monotonic() - began, status)
        time.sleep(max(0.0, began + _EVERY_SECONDS - time.monotonic()))


def _write(*values: object) -> None:
    with _writing:
        print(json.dumps(values), flush=True)


def main() -> None:
    """Probe for ever."""
    orders = json.loads(os.environ[_VARIABLE])
    for look in orders["looks"]:
        threading.Thread(target=_look, args=look, daemon=True).start()
    gateway = psutil.Process(orders["gateway"])
    while True:
        _write(_MEMORY, time.monotonic(), gateway.memory_info().rss)
        time.sleep(_EVERY_SECONDS)


if __name__ == "__main__":
    main()
