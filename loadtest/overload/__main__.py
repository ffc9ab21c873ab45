"""`python -m loadtest.overload`: starts claimd, measures its capacity, offers five times that, and says what it did.

Everything it starts, it stops, however it ends.
"""

import json
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from loadtest import commandline
from loadtest.client.connection import LoadError
from loadtest.commandline import OUT
from loadtest.overload import consistency, environment, rules, table
from loadtest.overload.figures import Figures, figures
from loadtest.overload.measuring import Asked, Measuring, Plan
from loadtest.overload.rules import Bottleneck
from loadtest.target import children, console_client, machine

_ROUND: Final = "overload"
_HOUR_MS: Final = 3_600_000
_INVALID: Final = 2

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def overload(
    bottleneck: Annotated[Bottleneck, typer.Option(help="What is overloaded.")] = Bottleneck.SERVER,
    delay_ms: Annotated[float, typer.Option(min=1, max=2_000, help="How late each reply of a slow server is.")] = 120.0,
    times: Annotated[float, typer.Option(min=0.5, max=50, help="Offered, in capacities.")] = 5.0,
    seconds: Annotated[float, typer.Option(min=2, max=60, help="How long each overload lasts.")] = 8.0,
    rounds: Annotated[int, typer.Option(min=1, max=50, help="How often it is measured.")] = 3,
    connections: Annotated[int, typer.Option(min=16, max=100_000, help="One for each who waits.")] = 14_000,
    out: Annotated[Path, typer.Option(help="Where the figures go.")] = OUT / "overload.json",
) -> None:
    """What becomes of grants, refusals, memory and the other addresses when several TIMES the capacity is offered.

    In an open loop: a claim is due at its moment whatever was answered before, everybody asks once, and who is told 503
    does not come back. By default **the server** is the bottleneck: its replies are late by DELAY_MS, as if its disk
    were slow. With `--bottleneck gateway` the server is quick, and the gateway's core has to be shared with the
    generator: there, waiting and lateness are told, not judged. One gateway, everything on this machine: leave it alone
    meanwhile. Exit code: **0** the promises held, **1** they did not, or it could not be measured, **2** the generator
    was late, so that the figures say nothing.
    """
    console = commandline.begin()
    plan = Plan(times, seconds, connections)
    started = datetime.now(UTC)
    try:
        commandline.allow_connections(connections)
        with tempfile.TemporaryDirectory(prefix="claimd-overload-") as home:
            delayed = delay_ms if bottleneck is Bottleneck.SERVER else 0.0
            with environment.running(Path(home), delayed) as running:
                measured, differing = _measure(running, plan, rounds, Path(home), console)
    except (LoadError, OSError, console_client.ApiError, children.TargetError, commandline.SizeError) as error:
        console.print("[bold red]error[/]", error, soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("interrupted: everything is stopped")
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
    console.print(table.terminal(measured))
    console.print(f"  figures: {out}", soft_wrap=True)
    raise typer.Exit(_judge(measured, differing, bottleneck, console))


def _measure(
    running: environment.Stage, plan: Plan, rounds: int, home: Path, console: Console
) -> tuple[list[Figures], list[str]]:
    now_ms = int(time.time() * 1000)
    running.books.create_round(_ROUND, consistency.STOCK, now_ms - _HOUR_MS, now_ms + 12 * _HOUR_MS)
    measured: list[Figures] = []
    with closing(Measuring(running, _ROUND, plan)) as measuring:
        asked: list[Asked] = [measuring.warm_up()]
        for number in range(rounds):
            round_ = measuring.round(home / f"probes-{number}.log")
            asked += [round_.capacity, round_.overload]
            measured.append(figures(round_))
            console.print(_told(number, measured[-1]))
    return measured, consistency.differences(running.books, _ROUND, measuring.people, asked)


def _told(number: int, each: Figures) -> str:
    return (
        f"round {number + 1}: capacity {each.capacity_per_second:,.0f}/s; of {each.sent_per_second:,.0f}/s asked, "
        f"{each.granted_per_second:,.0f}/s were granted, the rest told 503 in {each.refusals.p99_ms:,.1f} ms (p99)"
    )


def _judge(measured: Sequence[Figures], differing: list[str], bottleneck: Bottleneck, console: Console) -> int:
    invalid, broken = rules.invalid(measured, bottleneck), rules.broken(measured, bottleneck)
    wrong = [*differing, *rules.wrong(measured)]
    for sentence in wrong:
        console.print("[bold red]wrong[/]", sentence)
    for sentence in broken:
        console.print("[bold red]broken[/]", sentence)
    for sentence in invalid:
        console.print("[bold yellow]invalid[/]", sentence)
    if not differing:
        console.print("  every 201 is in the export, what was granted is what was issued, the audit is clean")
    # No generator is so late that an answer gets wrong by it.
    if wrong:
        return 1
    if invalid:
        return _INVALID
    return 1 if broken else 0


if __name__ == "__main__":
    app()
