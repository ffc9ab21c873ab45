"""A `claimd up` of its own for a test: real processes, ports of their own, a data directory that goes with the test."""

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
from typing import Any, Self

from claimd.identity.keys import Keys, identity_digest
from claimd.identity.passes import Passes

_DEADLINE_SECONDS = 30.0


def eventually(condition: Callable[[], Any], what: str, seconds: float = _DEADLINE_SECONDS) -> Any:
    """The first true value of `condition`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.02)
    return value


def is_running(pid: int) -> bool:
    """Whether that process lives; one that nobody has buried yet does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def clean_environment() -> dict[str, str]:
    """This environment without any setting of claimd's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CLAIMD_")}


class Up:
    """One `claimd up`; `data_dir` may be that of an earlier one."""

    def __init__(self, data_dir: Path, *flags: str, **environment: str) -> None:
        self.data_dir = data_dir
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
        """What it has said so far."""
        return self.output_path.read_text()

    def until_ready(self) -> "Up":
        """Wait for its "ready"."""

        def is_ready() -> bool:
            assert self.process.poll() is None, self.output
            return "\nready\n" in self.output

        eventually(is_ready, "ready")
        return self

    def record(self) -> dict[str, Any]:
        """`processes.json`."""
        return dict(json.loads((self.data_dir / "processes.json").read_text()))

    def pid(self, name: str) -> int:
        """The pid of one of its processes, as it is now."""
        return int(self.record()[name]["pid"])

    def pids(self) -> list[int]:
        """All of them."""
        return [entry["pid"] for entry in self.record().values() if "pid" in entry]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal the supervisor; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(_DEADLINE_SECONDS)

    def console(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        """Ask the console."""
        token = (self.data_dir / "admin-token").read_text().strip()
        return _ask(self.record()["console"], method, path, body, f"Bearer {token}")

    def gateway(self, method: str, path: str, authorization: str) -> tuple[int, dict[str, Any]]:
        """Ask the gateway; (0, {}) where nobody answers."""
        with suppress(OSError, http.client.HTTPException):
            return _ask(self.record()["gateway"], method, path, None, authorization)
        return 0, {}

    def create_round(self, round_id: str, total: int = 100) -> None:
        """A round that is open."""
        window = {"opens_at": "2020-01-01T00:00:00Z", "closes_at": "2099-01-01T00:00:00Z"}
        status, answer = self.console(
            "POST", "/admin/v1/rounds", {"id": round_id, "title": "A round", "total": total, **window}
        )
        assert status == 201, answer

    def claim(self, round_id: str, person: str) -> tuple[int, dict[str, Any]]:
        """Claim with a pass; (0, {}) where nobody answers."""
        return self.gateway("POST", f"/v1/rounds/{round_id}/claims", f"Pass {self.pass_for(round_id, person)}")

    def pass_for(self, round_id: str, person: str) -> str:
        """A pass as the gateway would issue it, good for a minute."""
        digest = self.identity_of(person)
        return Passes(self._keys().pass_key).issue_pass(round_id, digest, time.time_ns() // 1_000_000 + 60_000)

    def identity_of(self, person: str) -> bytes:
        """The digest under which the server knows a person."""
        return identity_digest(self._keys().identity_key, person)

    def _keys(self) -> Keys:
        return Keys.derive((self.data_dir / "secret").read_text().strip().encode())


def _ask(address: dict[str, Any], method: str, path: str, body: Any, authorization: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(address["host"], address["port"], timeout=10)
    try:
        headers = {"Authorization": authorization} | ({"Content-Type": "application/json"} if body is not None else {})
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()
