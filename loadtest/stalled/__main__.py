"""`python -m loadtest.stalled`: what thousands of stalled connections cost the clients that claim, side by side.

It stops everything that it starts, however it ends.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import psutil
import typer
from rich.console import Console as Terminal
from rich.table import Table

from claimd.domain.times import HOUR_MS
from claimd.identity.passes import PASS_CHARACTERS
from loadtest import commandline
from loadtest.client import credentials
from loadtest.client.connection import LoadError
from loadtest.client.heads import VariedHeads
from loadtest.client.open_loop import OpenLoop
from loadtest.client.requests import Requests
from loadtest.target import children, claimd_up, console_client
from loadtest.target.claimd_up import Claimd

_ROUND: Final = "stalled"
_SEED: Final = 1
# At any moment some were disconnected and are about to reconnect.
_ENOUGH: Final = 0.9
_SETTLE_SECONDS: Final = 120.0
_WARM_UP_SECONDS: Final = 1.0

# What is measured, in this order.
_SIDES: Final = ("alone", "stalled elsewhere", "stalled at the gateway")

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


class MeasuringError(Exception):
    """The measurement failed; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One measurement: latencies of claims since they were due; the gateway's memory, CPU and stalled connections."""

    p50_ms: float
    p99_ms: float
    rss_mib: float
    cpu_fraction: float
    connections: int


@app.command()
def stalled(
    connections: Annotated[int, typer.Option(min=8, max=50_000, help="Stalled connections.")] = 5_000,
    rate: Annotated[float, typer.Option(min=10, max=50_000, help="Claims a second meanwhile.")] = 2_000.0,
    carriers: Annotated[int, typer.Option(min=1, max=500, help="Keep-alive connections that claim.")] = 50,
    seconds: Annotated[float, typer.Option(min=0.5, max=300, help="How long each measurement takes.")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, max=50, help="How often each side is measured.")] = 5,
) -> None:
    """Latency of claims alone, with CONNECTIONS stalled at another server, and with them at the gateway; medians.

    Stalled clients need processor time themselves, here on the same machine. What that alone does to claims is measured
    with the clients at a server that does nothing; the result is the difference between that and the gateway.

    A quarter of the clients each send half a request, drip a byte a second, send headers without end, or never read
    their answers. Half of them ask for what the express lane answers, half for what aiohttp does. A client that is
    disconnected connects again. Latency counts from the moment a claim was due. There is one gateway with an embedded
    Valkey, all on this machine: leave it idle meanwhile. Exit code: **0** measured, **1** failed.
    """
    terminal = commandline.begin()
    try:
        commandline.allow_connections(connections)
        with tempfile.TemporaryDirectory(prefix="claimd-stalled-") as home:
            log = Path(home) / "claimd.log"
            with claimd_up.running(Path(home), log, workers=1) as claimd:
                measured = _measure(claimd, connections, rate, carriers, seconds, rounds, terminal)
    except (
        MeasuringError,
        LoadError,
        OSError,
        console_client.ApiError,
        children.TargetError,
        commandline.SizeError,
    ) as error:
        terminal.print("[bold red]error[/]", error, soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        terminal.print("interrupted: everything is stopped")
        raise typer.Exit(commandline.INTERRUPTED) from None
    _show(measured, terminal)


def _measure(
    claimd: Claimd, connections: int, rate: float, carriers: int, seconds: float, rounds: int, terminal: Terminal
) -> list[tuple[Figures, ...]]:
    now_ms, count, warm_up = int(time.time() * 1000), int(rate * seconds), int(rate * _WARM_UP_SECONDS)
    claims = _Claims(claimd, warm_up + len(_SIDES) * rounds * count)
    console = console_client.ConsoleClient(claimd.console_url, claimd.admin_token)
    console.create_round(_ROUND, 2**31, now_ms - HOUR_MS, now_ms + 12 * HOUR_MS)
    gateway = psutil.Process(claimd.pid("gateway-0"))
    measured: list[tuple[Figures, ...]] = []
    with closing(OpenLoop(claimd.port, carriers)) as load:
        load.run(claims.next(warm_up), rate)
        quiet = gateway.num_fds()
        for number in range(rounds):
            alone = _figures(gateway, load, claims.next(count), rate, quiet)
            with _idle_server(claimd) as (port, idle), _slow_clients(claimd, port, connections, idle):
                elsewhere = _figures(gateway, load, claims.next(count), rate, quiet)
            with _slow_clients(claimd, claimd.port, connections, gateway):
                here = _figures(gateway, load, claims.next(count), rate, quiet)
            measured.append((alone, elsewhere, here))
            p99s = ", ".join(f"{side.p99_ms:.2f} ms {name}" for side, name in zip(measured[-1], _SIDES, strict=True))
            terminal.print(f"round {number + 1}: p99 {p99s}")
    return measured


class _Claims:
    """Requests of people that have not claimed yet."""

    def __init__(self, claimd: Claimd, people: int) -> None:
        self._packed = credentials.mint(claimd.keys, _ROUND, _SEED, np.arange(people, dtype=np.int32), people)
        self._requests = Requests(_ROUND, f"127.0.0.1:{claimd.port}", VariedHeads(_SEED))
        self._next = 0

    def next(self, count: int) -> list[bytes]:
        """The requests of the next `count` people."""
        people = range(self._next, self._next + count)
        self._next = people.stop
        packed = self._packed[people.start * PASS_CHARACTERS : people.stop * PASS_CHARACTERS]
        return self._requests.claims(people, packed)


def _figures(gateway: psutil.Process, load: OpenLoop, requests: list[bytes], rate: float, quiet: int) -> Figures:
    load.latencies.clear()
    load.statuses.clear()
    began, before = time.perf_counter(), gateway.cpu_times()
    load.run(requests, rate)
    took, after = time.perf_counter() - began, gateway.cpu_times()
    if load.statuses != {b"201"}:
        raise MeasuringError(f"claims were answered {sorted(load.statuses)}, which should all be 201")
    p50, p99 = np.percentile(np.array(load.latencies) * 1000, (50, 99))
    used = after.user + after.system - before.user - before.system
    rss_mib = gateway.memory_info().rss / 2**20
    return Figures(float(p50), float(p99), rss_mib, used / took, gateway.num_fds() - quiet)


@contextmanager
def _idle_server(claimd: Claimd) -> Iterator[tuple[int, psutil.Process]]:
    """Run a server that does nothing with its clients; its port and process. Raises TargetError."""
    (port,) = claimd_up.free_ports(1)
    log = claimd.log.with_name("idle-server.log")
    command = [sys.executable, "-m", "loadtest.stalled.idle_server", str(port)]
    with children.running(command, claimd_up.inherited_environment(), log, cwd=claimd_up.ROOT) as child:
        claimd_up.await_listening(port, child, log)
        yield port, psutil.Process(child.pid)


@contextmanager
def _slow_clients(claimd: Claimd, port: int, connections: int, server: psutil.Process) -> Iterator[None]:
    """Hold stalled connections to a server's port; on leaving, wait until they are closed. Raises MeasuringError."""
    command = [sys.executable, "-m", "loadtest.stalled.slow_clients", str(port), str(connections)]
    quiet = server.num_fds()
    log = claimd.log.with_name("slow-clients.log")
    with children.running(command, claimd_up.inherited_environment(), log, cwd=claimd_up.ROOT):
        _await_connections(server, log, lowest=quiet + int(connections * _ENOUGH))
        yield
    _await_connections(server, log, highest=quiet + int(connections * (1 - _ENOUGH)))


def _await_connections(server: psutil.Process, log: Path, lowest: int = 0, highest: int = 2**31) -> None:
    give_up = time.monotonic() + _SETTLE_SECONDS
    while not lowest <= (opened := server.num_fds()) <= highest:
        if time.monotonic() > give_up:
            raise MeasuringError(
                f"the server has {opened} files open, after {_SETTLE_SECONDS:g} s\n{children.tail(log)}"
            )
        time.sleep(0.1)


def _show(measured: list[tuple[Figures, ...]], terminal: Terminal) -> None:
    table = Table(title="medians", title_justify="left")
    for name in ("claims", "p50 ms", "p99 ms", "gateway MiB", "gateway CPU", "stalled"):
        table.add_column(name, justify="left" if name == "claims" else "right")
    for name, side in zip(_SIDES, zip(*measured, strict=True), strict=True):
        table.add_row(
            name,
            f"{statistics.median(each.p50_ms for each in side):.2f}",
            f"{statistics.median(each.p99_ms for each in side):.2f}",
            # It grows with the claims, too, and never shrinks: its range means more than a median.
            f"{min(each.rss_mib for each in side):.0f} to {max(each.rss_mib for each in side):.0f}",
            f"{statistics.median(each.cpu_fraction for each in side):.0%}",
            f"{statistics.median(each.connections for each in side):,.0f}",
        )
    terminal.print(table)
    alone, elsewhere, here = (statistics.median(each.p99_ms for each in side) for side in zip(*measured, strict=True))
    terminal.print(
        f"p99 with stalled clients at the gateway: {(here / elsewhere - 1) * 100:+.1f} % of that with them elsewhere"
    )
    terminal.print(f"                                         {(here / alone - 1) * 100:+.1f} % of that alone")


if __name__ == "__main__":
    app()
