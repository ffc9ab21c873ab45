"""What is measured: a fresh `claimd up` with one gateway, on its own server or on a slow one; stopped at the end."""

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
class Stage:
    """`books` is a console for the audit: beside a slow server it has a fast way to the same data."""

    claimd: Claimd
    books: ConsoleClient
    gateway: psutil.Process
    server: psutil.Process


@contextmanager
def running(home: Path, delay_ms: float) -> Iterator[Stage]:
    """In the folder `home`, with a server whose replies are late by `delay_ms`. Raises children.TargetError.

    A slow server is that of a `claimd up` of its own, whose gateway has nothing to do and whose console audits.
    """
    with ExitStack() as stack:
        keeper = stack.enter_context(_up(home, "keeper"))
        claimd = keeper
        if delay_ms:
            url = stack.enter_context(_slow(keeper, delay_ms))
            secret_file = keeper.data_dir / "secret"
            claimd = stack.enter_context(_up(home, "gateway", f"--redis-url={url}", secret_file=secret_file))
        yield Stage(
            claimd,
            ConsoleClient(keeper.console_url, keeper.admin_token),
            psutil.Process(claimd.pid("gateway-0")),
            psutil.Process(keeper.pid("valkey")),
        )


@contextmanager
def _up(home: Path, name: str, *flags: str, secret_file: Path | None = None) -> Iterator[Claimd]:
    folder = home / name
    folder.mkdir()
    log = home / f"{name}.log"
    with claimd_up.running(folder, log, workers=1, flags=flags, secret_file=secret_file) as claimd:
        yield claimd


@contextmanager
def _slow(keeper: Claimd, delay_ms: float) -> Iterator[str]:
    (port,) = claimd_up.free_ports(1)
    log = keeper.log.with_name("slow_server.log")
    path = unquote(urlsplit(keeper.redis_url).path)
    command = [sys.executable, "-m", "loadtest.overload.slow_server", str(port), path, str(delay_ms)]
    with children.running(command, claimd_up.inherited_environment(), log, cwd=claimd_up.ROOT) as child:
        claimd_up.await_listening(port, child, log)
        yield f"redis://127.0.0.1:{port}"
