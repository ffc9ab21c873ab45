"""A `claimd up` for a test: real processes, free ports, a data directory that the test chooses."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from claimd.identity.keys import Keys, identity_digest
from claimd.identity.passes import Passes

T = TypeVar("T")

_DEADLINE_SECONDS = 30.0


def eventually(condition: Callable[[], T | None], what: str, seconds: float = _DEADLINE_SECONDS) -> T:
    """Wait for a true value of `condition` and return it; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return value


def is_running(pid: int) -> bool:
    """Whether a process of that pid runs; a zombie does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def clean_environment() -> dict[str, str]:
    """This environment without `CLAIMD_…` variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CLAIMD_")}


class Up:
    """One running `claimd up`. `data_dir` may be that of an earlier one; `environment` is added to the test's own."""

    def __init__(self, data_dir: Path, *flags: str, **environment: str) -> None:
        self.data_dir = data_dir
        self._output_start = 0
        self.output_path = data_dir.with_name(f"{data_dir.name[:20]}-{time.monotonic_ns()}.out")
        command = [sys.executable, "-m", "claimd", "up", "--data-dir", str(data_dir)]
        with self.output_path.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, "--port", "0", "--console-port", "0", *flags],
                env=clean_environment() | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def output(self) -> str:
        """What it has printed so far, or since `forget_output`."""
        return self.whole_output[self._output_start :]

    @property
    def whole_output(self) -> str:
        """What it has printed since its start."""
        return self.output_path.read_text()

    def forget_output(self) -> None:
        """Leave what it has printed until now out of `output`."""
        self._output_start = len(self.whole_output)

    def has_printed(self, text: str) -> bool:
        """Whether `output` contains this text."""
        return text in self.output

    def until_ready(self) -> Self:
        """Wait until it prints "ready"; fail if it ends before."""

        def is_ready() -> bool:
            assert self.process.poll() is None, self.output
            return "\nready\n" in self.output

        eventually(is_ready, "ready")
        return self

    def process_file(self) -> dict[str, Any]:
        """The entries of its `processes.json`."""
        return dict(json.loads((self.data_dir / "processes.json").read_text()))

    def pid(self, name: str) -> int:
        """The present pid of one of its processes."""
        return int(self.process_file()[name]["pid"])

    def pids(self) -> list[int]:
        """The pids of all its processes."""
        return [entry["pid"] for entry in self.process_file().values() if "pid" in entry]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal the supervisor and wait for its end; returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(_DEADLINE_SECONDS)

    def console(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        """Send a request to the console; returns status and JSON document."""
        token = (self.data_dir / "admin-token").read_text().strip()
        return _request(self.process_file()["console"], method, path, body, f"Bearer {token}")

    def gateway(self, method: str, path: str, authorization: str) -> tuple[int, dict[str, Any]]:
        """Send a request to the gateway; returns status and JSON document, (0, {}) without an answer."""
        with suppress(OSError, http.client.HTTPException):
            return _request(self.process_file()["gateway"], method, path, None, authorization)
        return 0, {}

    def create_round(self, round_id: str, total: int = 100) -> None:
        """Create a round that is open."""
        window = {"opens_at": "2020-01-01T00:00:00Z", "closes_at": "2099-01-01T00:00:00Z"}
        status, answer = self.console(
            "POST", "/admin/v1/rounds", {"id": round_id, "title": "A round", "total": total, **window}
        )
        assert status == 201, answer

    def claim(self, round_id: str, person: str) -> tuple[int, dict[str, Any]]:
        """Claim with a pass; returns status and JSON document, (0, {}) without an answer."""
        return self.gateway("POST", f"/v1/rounds/{round_id}/claims", f"Pass {self.pass_for(round_id, person)}")

    def pass_for(self, round_id: str, person: str) -> str:
        """A pass as the gateway issues them, valid for a minute."""
        digest = self.identity_of(person)
        return Passes(self._keys().pass_key).issue_pass(round_id, digest, time.time_ns() // 1_000_000 + 60_000)

    def identity_of(self, person: str) -> bytes:
        """The identity digest of a person under this secret."""
        return identity_digest(self._keys().identity_key, person)

    def _keys(self) -> Keys:
        return Keys.derive((self.data_dir / "secret").read_text().strip().encode())


def _request(
    address: dict[str, Any], method: str, path: str, body: Any, authorization: str
) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(address["host"], address["port"], timeout=10)
    try:
        headers = {"Authorization": authorization} | ({"Content-Type": "application/json"} if body is not None else {})
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()
