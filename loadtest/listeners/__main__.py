"""`python -m loadtest.listeners`: what listeners to live events cost the claims beside them, side by side.

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
from loadtest import commandline
from loadtest.client.answers import Answer
from loadtest.client.connection import LoadError
from loadtest.client.flood import Flood
from loadtest.overload.claimants import Claimants
from loadtest.target import children, claimd_up, console_client
from loadtest.target.claimd_up import Claimd

_ROUND: Final = "listened-to"
_SETTLE_SECONDS: Final = 60.0
_WARM_UP_SECONDS: Final = 1.0
# From the moment a load begins to its end it may take so much longer than planned.
_PATIENCE_SECONDS: Final = 30.0
_SIDES: Final = ("alone", "with listeners")

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


class MeasuringError(Exception):
    """The measurement failed; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One measurement: latencies of claims since they were due, CPU of the processes in cores, events to a listener."""

    p50_ms: float
    p99_ms: float
    gateway_cpu: float
    generator_cpu: float
    rss_mib: float
    events_per_second: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What the listeners have had so far, in all."""

    streams: int = 0
    events: int = 0
    received_bytes: int = 0


@app.command()
def listeners(
    listeners: Annotated[int, typer.Option("--listeners", min=1, max=10_000, help="Clients that listen.")] = 2_000,
    rate: Annotated[float, typer.Option(min=10, max=50_000, help="Claims a second meanwhile.")] = 14_286.0,
    connections: Annotated[int, typer.Option(min=1, max=10_000, help="Keep-alive connections that claim.")] = 500,
    seconds: Annotated[float, typer.Option(min=0.5, max=300, help="How long each measurement takes.")] = 8.0,
    rounds: Annotated[int, typer.Option(min=1, max=50, help="How often each side is measured.")] = 5,
) -> None:
    """Latency of claims alone and with LISTENERS to the same round, in turns; medians.

    Every claim changes the round, so each listener gets as many events as there are. The listeners read at once, on
    this machine, so what they take themselves is part of the difference. Latency counts from the moment a claim was
    due. There is one gateway with an embedded Valkey: leave the machine idle meanwhile. Exit code: **0** measured,
    **1** failed.
    """
    terminal = commandline.begin()
    try:
        # A gateway admits half of its connections as listeners.
        commandline.allow_connections(2 * listeners + connections)
        with tempfile.TemporaryDirectory(prefix="claimd-listeners-") as home:
            log = Path(home) / "claimd.log"
            with claimd_up.running(Path(home), log, workers=1) as claimd:
                measured = _measure(claimd, listeners, rate, connections, seconds, rounds, terminal)
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
    claimd: Claimd, listeners: int, rate: float, connections: int, seconds: float, rounds: int, terminal: Terminal
) -> list[tuple[Figures, Figures]]:
    now_ms = int(time.time() * 1000)
    console = console_client.ConsoleClient(claimd.console_url, claimd.admin_token)
    console.create_round(_ROUND, 2**31, now_ms - HOUR_MS, now_ms + 12 * HOUR_MS)
    measured = []
    with closing(_Claims(claimd, connections, rate)) as claims:
        claims.measure(_WARM_UP_SECONDS)
        for number in range(rounds):
            alone = claims.measure(seconds)
            with _audience(claimd, listeners) as log:
                beside = claims.measure(seconds, log)
            measured.append((alone, beside))
            terminal.print(
                f"round {number + 1}: p99 {alone.p99_ms:.2f} ms alone, {beside.p99_ms:.2f} ms with listeners, "
                f"each of whom had {beside.events_per_second:.1f} events a second"
            )
    return measured


class _Claims:
    """Claims at an even rate, each of another person."""

    def __init__(self, claimd: Claimd, connections: int, rate: float) -> None:
        self._claimants = Claimants(claimd.keys, _ROUND)
        self._flood = Flood(claimd.port, connections, _ROUND)
        self._rate = rate
        self._gateway = psutil.Process(claimd.pid("gateway-0"))

    def measure(self, seconds: float, audience: Path | None = None) -> Figures:
        """Claim for so many seconds; `audience` is the log of the listeners. Raises MeasuringError, LoadError."""
        count = int(self._rate * seconds)
        passes = self._claimants.passes(count)
        due = np.arange(count) / self._rate
        before, heard = self._gateway.cpu_times(), _heard(audience)
        rows = self._flood.run(due, passes, seconds + _PATIENCE_SECONDS)
        after, heard_now = self._gateway.cpu_times(), _heard(audience)
        self._claimants.use(count)
        if len(rows) < count or not (rows.answer == Answer.GRANTED).all():
            raise MeasuringError("not every claim was granted: choose a lower --rate")
        if heard_now.streams < heard.streams:
            raise MeasuringError(f"{heard.streams - heard_now.streams} streams of events have ended")
        took = float(rows.answered.max())
        p50, p99 = np.percentile((rows.answered - rows.due) * 1000, (50, 99))
        return Figures(
            p50_ms=float(p50),
            p99_ms=float(p99),
            gateway_cpu=(after.user + after.system - before.user - before.system) / took,
            generator_cpu=rows.cpu_fraction,
            rss_mib=self._gateway.memory_info().rss / 2**20,
            events_per_second=(heard_now.events - heard.events) / took / max(1, heard.streams),
        )

    def close(self) -> None:
        """Close the connections that claim, answered or not."""
        self._flood.close()


@contextmanager
def _audience(claimd: Claimd, listeners: int) -> Iterator[Path]:
    """Run the listeners; their log, once all of them have had an event. Raises MeasuringError, TargetError."""
    command = [sys.executable, "-m", "loadtest.listeners.audience", str(claimd.port), _ROUND, str(listeners)]
    log = claimd.log.with_name("audience.log")
    with children.running(command, claimd_up.inherited_environment(), log, cwd=claimd_up.ROOT) as child:
        give_up = time.monotonic() + _SETTLE_SECONDS
        while (heard := _heard(log)).streams < listeners or heard.events < listeners:
            if child.poll() is not None or time.monotonic() > give_up:
                raise MeasuringError(f"{heard.streams} of {listeners} streams are open\n{children.tail(log)}")
            time.sleep(0.1)
        yield log


def _heard(log: Path | None) -> Heard:
    """The last whole line of the listeners' log."""
    lines = log.read_text().rpartition("\n")[0].splitlines() if log is not None else []
    numbers = lines[-1].split() if lines else []
    return Heard(*map(int, numbers)) if len(numbers) == 3 and all(map(str.isdigit, numbers)) else Heard()


def _show(measured: list[tuple[Figures, Figures]], terminal: Terminal) -> None:
    table = Table(title="medians", title_justify="left")
    for name in ("claims", "p50 ms", "p99 ms", "gateway CPU", "generator CPU", "gateway MiB", "events/s each"):
        table.add_column(name, justify="left" if name == "claims" else "right")
    for name, side in zip(_SIDES, zip(*measured, strict=True), strict=True):
        table.add_row(
            name,
            f"{statistics.median(each.p50_ms for each in side):.2f}",
            f"{statistics.median(each.p99_ms for each in side):.2f}",
            f"{statistics.median(each.gateway_cpu for each in side):.0%}",
            f"{statistics.median(each.generator_cpu for each in side):.0%}",
            f"{min(each.rss_mib for each in side):.0f} to {max(each.rss_mib for each in side):.0f}",
            f"{statistics.median(each.events_per_second for each in side):.1f}",
        )
    terminal.print(table)
    alone, beside = (statistics.median(each.p99_ms for each in side) for side in zip(*measured, strict=True))
    terminal.print(f"p99 with listeners: {(beside / alone - 1) * 100:+.1f} % of that alone")


if __name__ == "__main__":
    app()
