"""`python -m loadtest.overload`: starts claimd, measures its capacity, offers several times that, judges the answers.

Every process it starts is stopped, however it ends.
"""

import json
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console as Terminal

from claimd.domain.times import HOUR_MS
from loadtest import commandline
from loadtest.client.connection import LoadError
from loadtest.commandline import OUT
from loadtest.overload import consistency, environment, rules, table
from loadtest.overload.figures import Figures, figures
from loadtest.overload.measuring import LoadResult, Measuring, Plan
from loadtest.overload.rules import Bottleneck
from loadtest.target import children, console_client, machine

_ROUND: Final = "overload"


class Finding(StrEnum):
    """What is wrong with a measurement."""

    WRONG = "wrong"
    INVALID = "invalid"
    BROKEN = "broken"


# By weight, the exit code is that of the first: a late generator can break a rule, but makes no answer wrong.
_EXIT_CODES: Final = {Finding.WRONG: 1, Finding.INVALID: 2, Finding.BROKEN: 1}
_COLOURS: Final = {Finding.WRONG: "red", Finding.INVALID: "yellow", Finding.BROKEN: "red"}

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def overload(
    bottleneck: Annotated[Bottleneck, typer.Option(help="The part that is overloaded.")] = Bottleneck.SERVER,
    delay_ms: Annotated[
        float, typer.Option(min=1, max=2_000, help="The delay of each reply of a slow server.")
    ] = 120.0,
    times: Annotated[
        float, typer.Option(min=0.5, max=50, help="The load offered, in multiples of the capacity.")
    ] = 5.0,
    seconds: Annotated[float, typer.Option(min=2, max=60, help="The length of each overload.")] = 8.0,
    rounds: Annotated[int, typer.Option(min=1, max=50, help="The number of measurements.")] = 3,
    connections: Annotated[
        int, typer.Option(min=16, max=100_000, help="Connections: the most requests that can wait at a time.")
    ] = 14_000,
    out: Annotated[
        Path, typer.Option(help="The file for the figures.", show_default="loadtest/out/overload.json")
    ] = OUT / "overload.json",
) -> None:
    """Offer several TIMES the capacity, and measure grants, rejections, memory and the latency of other addresses.

    The load is an open loop: each claim is due at a fixed moment, whatever the earlier answers, each claimant claims
    once, and a rejected claim (503) is not retried. By default **the server** is the bottleneck: its replies are late
    by DELAY_MS, as if its disk were slow. With `--bottleneck gateway` the server is fast, and the gateway shares its
    core with the generator: then latencies and lateness are reported and not judged. There is one gateway, and
    everything runs on this machine, which should do nothing else.

    Exit code: **0** every rule held, **1** one did not, or the measurement failed, **2** the generator was late, so the
    figures are not valid.
    """
    terminal = commandline.begin()
    plan = Plan(times, seconds, connections)
    started = datetime.now(UTC)
    try:
        commandline.allow_connections(connections)
        with tempfile.TemporaryDirectory(prefix="claimd-overload-") as home:
            delayed = delay_ms if bottleneck is Bottleneck.SERVER else 0.0
            with environment.running(Path(home), delayed) as running:
                measured, differing = _measure(running, plan, rounds, Path(home), terminal)
    except (LoadError, OSError, console_client.ApiError, children.TargetError, commandline.SizeError) as error:
        terminal.print("[bold red]error[/]", error, soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        terminal.print("interrupted: everything is stopped")
        raise typer.Exit(commandline.INTERRUPTED) from None
    report = {
        "bottleneck": bottleneck,
        "rounds": [each.as_dict() for each in measured],
        "audit": {"ok": not differing, "differences": differing},
        "command": shlex.join(["python", "-m", "loadtest.overload", *sys.argv[1:]]),
        "commit": machine.commit(),
        "machine": machine.facts(),
        "started_at": started.isoformat(timespec="seconds"),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n")
    terminal.print(table.terminal(measured))
    terminal.print(f"  figures: {out}", soft_wrap=True)
    raise typer.Exit(_judge(measured, differing, bottleneck, terminal))


def _measure(
    running: environment.Environment, plan: Plan, rounds: int, home: Path, terminal: Terminal
) -> tuple[list[Figures], list[str]]:
    now_ms = int(time.time() * 1000)
    running.console.create_round(_ROUND, consistency.STOCK, now_ms - HOUR_MS, now_ms + 12 * HOUR_MS)
    measured: list[Figures] = []
    with closing(Measuring(running, _ROUND, plan)) as measuring:
        loads: list[LoadResult] = [measuring.warm_up()]
        for number in range(rounds):
            round_ = measuring.round(home / f"probes-{number}.log")
            loads += [round_.capacity, round_.overload]
            measured.append(figures(round_))
            terminal.print(_line(number, measured[-1]))
    return measured, consistency.differences(running.console, _ROUND, measuring.claimants, loads)


def _line(number: int, each: Figures) -> str:
    return (
        f"round {number + 1}: capacity {each.capacity_per_second:,.0f}/s; of {each.sent_per_second:,.0f}/s sent, "
        f"{each.granted_per_second:,.0f}/s were granted, the rest answered 503 in {each.refusals.p99_ms:,.1f} ms (p99)"
    )


def _judge(measured: Sequence[Figures], differing: list[str], bottleneck: Bottleneck, terminal: Terminal) -> int:
    findings = {
        Finding.WRONG: [*differing, *rules.wrong(measured)],
        Finding.INVALID: rules.invalid(measured, bottleneck),
        Finding.BROKEN: rules.broken(measured, bottleneck),
    }
    for finding, sentences in findings.items():
        for sentence in sentences:
            terminal.print(f"[bold {_COLOURS[finding]}]{finding}[/]", sentence)
    if not differing:
        terminal.print("  every 201 is in the export, every claim issued is exported, the audit is clean")
    return next((code for finding, code in _EXIT_CODES.items() if findings[finding]), 0)


if __name__ == "__main__":
    app()
