"""`make bench`: runs everything, interleaved, audits every round, and leaves `loadtest/out/bench.json`."""

import json
import shlex
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from loadtest import commandline
from loadtest.bench import contenders, figures, full_batches, measuring, picture, table
from loadtest.bench.measuring import WIN, WORKLOADS, Measured
from loadtest.bench.rounds import AuditError
from loadtest.client.connection import LoadError
from loadtest.commandline import OUT
from loadtest.target import children, machine

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def bench(
    rounds: Annotated[int, typer.Option(min=1, max=100, help="How often everything is measured.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.1, max=60, help="How long each measurement takes.")] = 3.0,
    connections: Annotated[int, typer.Option(min=1, max=10_000, help="Keep-alive connections.")] = 100,
    out: Annotated[Path, typer.Option(help="Where the figures go.")] = OUT / "bench.json",
) -> None:
    """claimd and the usual ways of writing it, side by side: what a claim costs in CPU time, and how fast it is.

    Everything on this machine, one contender at a time, interleaved; medians over ROUNDS, with their spread. Three
    workloads: **all win**, **all replays**, **all sold out**. Exit code: **0** measured, **1** an audit failed or
    something could not be run. Beside the figures it leaves a picture and tables to paste (`.svg`, `.md`).
    """
    console = commandline.begin()
    try:
        commandline.allow_connections(connections)
        out.parent.mkdir(parents=True, exist_ok=True)
        report = _run(rounds, seconds, connections, console)
    except (children.TargetError, AuditError, LoadError, commandline.SizeError) as error:
        console.print("[bold red]error[/]", error, soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("interrupted: everything is stopped, nothing is written")
        raise typer.Exit(commandline.INTERRUPTED) from None
    out.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n")
    out.with_suffix(".md").write_text(table.markdown(report["contenders"]))
    picture.draw(report["contenders"], out.with_suffix(".svg"))
    _show(report, console)
    console.print(f"\n  figures: {out}", soft_wrap=True)


def _run(rounds: int, seconds: float, connections: int, console: Console) -> dict[str, Any]:
    measurements: dict[tuple[str, str], list[Measured]] = {}
    started = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="claimd-bench-") as home, contenders.field(Path(home)) as field:
        for turn in range(rounds):
            _turn(field, turn, seconds, connections, measurements, console)
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
    field: contenders.Field,
    turn: int,
    seconds: float,
    connections: int,
    measurements: dict[tuple[str, str], list[Measured]],
    console: Console,
) -> None:
    """Everything once, each time beginning with another contender."""
    shift = turn % len(field.contenders)
    order = field.contenders[shift:] + field.contenders[:shift]
    visits = [measuring.Visit(field, contender, turn, seconds, connections) for contender in order]
    for workload in WORKLOADS:
        for visit in visits:
            if workload in visit.workloads:
                measured = visit.measure(workload)
                measurements.setdefault((visit.name, workload), []).append(measured)
                _tell(console, turn, workload, visit.name, measured)
        if workload == WIN:
            measured = full_batches.measure(field, field.contenders[0].rounds, turn, seconds)
            measurements.setdefault((full_batches.NAME, workload), []).append(measured)
            _tell(console, turn, workload, full_batches.NAME, measured)
    for visit in visits:
        visit.audit()


def _tell(console: Console, turn: int, workload: str, name: str, measured: Measured) -> None:
    console.print(
        f"round {turn + 1}   {workload:<9} {name:<34} {measured.gateway_us_per_claim:6.1f} + "
        f"{measured.server_us_per_claim:5.1f} µs   {measured.rps:>8,.0f}/s   p99 {measured.p99_ms:6.2f} ms"
    )


def _show(report: dict[str, Any], console: Console) -> None:
    for workload in WORKLOADS:
        console.print()
        console.print(table.terminal(report["contenders"], workload))
    of_peer, of_floors = report["ratios"]["of_aiohttp_redis"], report["ratios"]["of_floors"]
    console.print(
        f"\n  a granted claim takes {of_peer:.1%} of the CPU time of aiohttp + redis-py "
        f"({figures.CEILING_OF_PEER:.0%} is the aim), and {of_floors:.2f} times that of the floors "
        f"({figures.CEILING_OF_FLOORS:g} is the aim); every round was audited"
    )


if __name__ == "__main__":
    app()
