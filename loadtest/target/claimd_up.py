"""A `claimd up` of the harness's own: in a fresh data directory, on free ports, stopped when it is no longer needed."""

import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from claimd.identity.keys import Keys
from loadtest.client.signing_keys import Algorithm, new_jwks, public_jwks
from loadtest.target import children

ROOT: Final = Path(__file__).resolve().parents[2]
_READY_SECONDS: Final = 60.0
_PROBE_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Claimd:
    """A `claimd up` and where its parts are. `secret_file` where the secret is not the one in its data directory."""

    port: int
    console_port: int
    data_dir: Path
    jwks: Path
    log: Path
    secret_file: Path | None = None

    @property
    def url(self) -> str:
        """The URL of the gateway, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def console_url(self) -> str:
        """The URL of the console, without a path."""
        return f"http://127.0.0.1:{self.console_port}"

    @property
    def signing_jwks(self) -> Path:
        """The file with the keys that sign tokens for it, which claimd does not read."""
        return self.jwks.with_name("signing-jwks.json")

    @property
    def redis_url(self) -> str:
        """The URL of the embedded Valkey's unix socket."""
        return str(self._record()["valkey"]["url"])

    @property
    def admin_token(self) -> str:
        """The admin token from the data directory."""
        return (self.data_dir / "admin-token").read_text().strip()

    @property
    def keys(self) -> Keys:
        """The keys derived from its secret."""
        return Keys.derive((self.secret_file or self.data_dir / "secret").read_text().strip().encode())

    def pid(self, name: str) -> int:
        """The process id of `valkey`, `console`, `gateway-0` …"""
        return int(self._record()[name]["pid"])

    def _record(self) -> dict[str, dict[str, Any]]:
        record: dict[str, dict[str, Any]] = json.loads((self.data_dir / "processes.json").read_text())
        return record


@contextmanager
def running(
    home: Path,
    log: Path,
    workers: int,
    prefix: Sequence[str] = (),
    flags: Sequence[str] = (),
    secret_file: Path | None = None,
    algorithm: Algorithm = Algorithm.HS256,
) -> Iterator[Claimd]:
    """Run one in the folder `home`, by a command that starts with `prefix` (such as `nice`).

    `secret_file` names a secret other than the one in the data directory; `algorithm` is that of the tokens. Raises
    TargetError.
    """
    claimd = replace(prepare(home, log, algorithm=algorithm), secret_file=secret_file)
    with started(claimd, workers, prefix, flags):
        yield claimd


def prepare(home: Path, log: Path, data_dir: Path | None = None, algorithm: Algorithm = Algorithm.HS256) -> Claimd:
    """A claimd in the folder `home` that is not running yet; it may be started several times, on the same ports."""
    port, console_port = free_ports(2)
    claimd = Claimd(port, console_port, data_dir or home / "data", home / "jwks.json", log)
    signing = new_jwks(algorithm)
    claimd.signing_jwks.touch(0o600)
    claimd.signing_jwks.write_text(signing)
    claimd.jwks.write_text(public_jwks(signing))
    return claimd


@contextmanager
def started(
    claimd: Claimd, workers: int, prefix: Sequence[str] = (), flags: Sequence[str] = (), output: Path | None = None
) -> Iterator[children.Child]:
    """Run it, with more `flags` of `claimd up`, until both its sides can decide claims. Raises TargetError.

    Its output goes to its log, or to `output`, whose reader then fills the log.
    """
    command = [
        *(*prefix, sys.executable, "-m", "claimd", "up"),
        *(f"--data-dir={claimd.data_dir}", f"--workers={workers}", f"--jwks={claimd.jwks}"),
        *("--host=127.0.0.1", f"--port={claimd.port}"),
        *("--console-host=127.0.0.1", f"--console-port={claimd.console_port}", *flags),
        *([f"--secret-file={claimd.secret_file}"] if claimd.secret_file else []),
    ]
    with children.running(command, inherited_environment(), output or claimd.log, cwd=ROOT) as up:
        _await(lambda: all(map(_is_ready, (claimd.url, claimd.console_url))), up, claimd.log)
        yield up


def inherited_environment() -> dict[str, str]:
    """This process's environment without claimd's and Locust's settings, which belong to another claimd."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("CLAIMD_", "LOCUST_"))}


def free_ports(count: int) -> list[int]:
    """TCP ports on which no process listens at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def await_listening(port: int, child: children.Child, log: Path) -> None:
    """Wait until another server of the harness's own takes connections. Raises TargetError."""
    _await(lambda: _listens(port), child, log)


def _await(ready: Callable[[], bool], child: children.Child, log: Path) -> None:
    give_up = time.monotonic() + _READY_SECONDS
    while not ready():
        if child.poll() is not None:
            raise children.TargetError(f"{log.stem} ended with exit code {child.returncode}\n{children.tail(log)}")
        if time.monotonic() > give_up:
            raise children.TargetError(f"{log.stem} is not ready after {_READY_SECONDS:g} s\n{children.tail(log)}")
        time.sleep(_PROBE_SECONDS)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False
