"""`make bench`: measures all contenders, interleaved, audits every round, and writes `loadtest/out/bench.json`."""

import json
import shlex
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal

from loadtest import commandline
from loadtest.bench import contenders, figures, full_batches, measuring, picture, table
from loadtest.bench.measuring import Measured, Workload
from loadtest.bench.rounds import AuditError
from loadtest.client.connection import LoadError
from loadtest.commandline import OUT
from loadtest.target import children, machine

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def bench(
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Measurements of each contender and workload.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.1, max=60, help="The length of each measurement.")] = 3.0,
    connections: Annotated[int, typer.Option(min=1, max=10_000, help="Keep-alive connections.")] = 100,
    out: Annotated[Path, typer.Option(help="The file for the figures.", show_default="loadtest/out/bench.json")] = OUT
    / "bench.json",
) -> None:
    """Measure the CPU time and the latency of a claim: claimd, and common ways of writing it, side by side.

    Everything runs on this machine, one contender at a time, interleaved. The figures are medians over ROUNDS, with
    their spread. There are three workloads: **all win**, **all replays**, **all sold out**. Beside the figures it
    writes a picture (`.svg`) and tables for the docs (`.md`).

    Exit code: **0** measured, **1** an audit failed or a contender could not be run.
    """
    terminal = commandline.begin()
    try:
        commandline.allow_connections(connections)
        out.parent.mkdir(parents=True, exist_ok=True)
        report = _run(rounds, seconds, connections, terminal)
    except (children.TargetError, AuditError, LoadError, commandline.SizeError) as error:
        terminal.print("[bold red]error[/]", error, soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        terminal.print("interrupted: everything is stopped, nothing is written")
        raise typer.Exit(commandline.INTERRUPTED) from None
    out.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n")
    out.with_suffix(".md").write_text(table.markdown(report["contenders"]))
    picture.draw(report["contenders"], out.with_suffix(".svg"))
    _print_tables(report, terminal)
    terminal.print(f"\n  figures: {out}", soft_wrap=True)


def _run(rounds: int, seconds: float, connections: int, terminal: Terminal) -> dict[str, Any]:
    measurements: dict[tuple[str, Workload], list[Measured]] = {}
    started = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="claimd-bench-") as home, contenders.started(Path(home)) as running:
        for turn in range(rounds):
            _turn(running, turn, seconds, connections, measurements, terminal)
    summary = figures.summary(measurements)
    return {
        "contenders": summary,
        "ratios": figures.ratios(summary),
        "rounds": rounds,
        "seconds": seconds,
        "connections": connections,
        "command": shlex.join(["python", "-m", "loadtest.bench", *sys.argv[1:]]),
        "commit": machine.commit(),
        "machine": machine.facts(),
        "started_at": started.isoformat(timespec="seconds"),
    }


def _turn(
    running: contenders.Contenders,
    turn: int,
    seconds: float,
    connections: int,
    measurements: dict[tuple[str, Workload], list[Measured]],
    terminal: Terminal,
) -> None:
    """Measure every contender once for each workload; each turn begins with another contender."""
    shift = turn % len(running.all)
    order = running.all[shift:] + running.all[:shift]
    visits = [measuring.Visit(running, contender, turn, seconds, connections) for contender in order]
    for workload in Workload:
        for visit in visits:
            if workload in visit.workloads:
                measured = visit.measure(workload)
                measurements.setdefault((visit.name, workload), []).append(measured)
                _print_measurement(terminal, turn, workload, visit.name, measured)
        if workload is Workload.WIN:
            measured = full_batches.measure(running, running.all[0].rounds, turn, seconds)
            measurements.setdefault((full_batches.NAME, workload), []).append(measured)
            _print_measurement(terminal, turn, workload, full_batches.NAME, measured)
    for visit in visits:
        visit.audit()


def _print_measurement(terminal: Terminal, turn: int, workload: Workload, name: str, measured: Measured) -> None:
    terminal.print(
        f"round {turn + 1}   {workload:<9} {name:<34} {measured.gateway_us_per_claim:6.1f} + "
        f"{measured.server_us_per_claim:5.1f} µs   {measured.rps:>8,.0f}/s   p99 {measured.p99_ms:6.2f} ms"
    )


def _print_tables(report: dict[str, Any], terminal: Terminal) -> None:
    for workload in Workload:
        terminal.print()
        terminal.print(table.terminal(report["contenders"], workload))
    of_peer, of_floors = report["ratios"]["of_aiohttp_redis"], report["ratios"]["of_floors"]
    terminal.print(
        f"\n  a granted claim takes {of_peer:.1%} of the CPU time of aiohttp + redis-py "
        f"({figures.CEILING_OF_PEER:.0%} is the aim), and {of_floors:.2f} times that of the floors "
        f"({figures.CEILING_OF_FLOORS:g} is the aim); every round passed its audit"
    )


if __name__ == "__main__":
    app()
