"""The environment that is measured: a fresh `claimd up` with one gateway, on its own server or on a slow one."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psutil

from loadtest.target import children, claimd_up
from loadtest.target.claimd_up import Claimd
from loadtest.target.console_client import ConsoleClient


@dataclass(frozen=True, slots=True)
class Environment:
    """A running claimd. `console` is for rounds and audit: with a slow server it has a fast connection to the data."""

    claimd: Claimd
    console: ConsoleClient
    gateway: psutil.Process
    server: psutil.Process


@contextmanager
def running(home: Path, delay_ms: float) -> Iterator[Environment]:
    """Run claimd in the folder `home`, on a server that delays its replies by `delay_ms`. Raises TargetError.

    With a delay a second `claimd up`, the backend, provides the server and the console; its gateway is idle.
    """
    with ExitStack() as stack:
        backend = stack.enter_context(_up(home, "backend"))
        claimd = backend
        if delay_ms:
            url = stack.enter_context(_slow_server(backend, delay_ms))
            secret_file = backend.data_dir / "secret"
            claimd = stack.enter_context(_up(home, "gateway", f"--redis-url={url}", secret_file=secret_file))
        yield Environment(
            claimd,
            ConsoleClient(backend.console_url, backend.admin_token),
            psutil.Process(claimd.pid("gateway-0")),
            psutil.Process(backend.pid("valkey")),
        )


@contextmanager
def _up(home: Path, name: str, *flags: str, secret_file: Path | None = None) -> Iterator[Claimd]:
    folder = home / name
    folder.mkdir()
    log = home / f"{name}.log"
    with claimd_up.running(folder, log, workers=1, flags=flags, secret_file=secret_file) as claimd:
        yield claimd


@contextmanager
def _slow_server(backend: Claimd, delay_ms: float) -> Iterator[str]:
    (port,) = claimd_up.free_ports(1)
    log = backend.log.with_name("slow_server.log")
    path = unquote(urlsplit(backend.redis_url).path)
    command = [sys.executable, "-m", "loadtest.overload.slow_server", str(port), path, str(delay_ms)]
    with children.running(command, claimd_up.inherited_environment(), log, cwd=claimd_up.ROOT) as child:
        claimd_up.await_listening(port, child, log)
        yield f"redis://127.0.0.1:{port}"
