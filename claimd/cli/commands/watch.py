"""`claimd watch`: a round, live. On a terminal a picture that stays in place, in a pipe a line a look."""

import asyncio
import json
import sys
from typing import Annotated

import typer
from rich.console import Console as Terminal
from rich.console import ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from claimd.cli.console_client import Console
from claimd.cli.console_command import RoundId, console_command
from claimd.cli.errors import CommandError
from claimd.cli.round_watcher import Look, Watched
from claimd.cli.terminal.printable import legible
from claimd.cli.terminal.show import is_paused_beforehand, print_line, shown, status_text
from claimd.domain.times import from_rfc3339, to_rfc3339

_ENDLESS = 10_000


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("watch", epilog="Example: [bold]claimd watch r5[/]")(console_command(_watch))


async def _watch(
    console: Console,
    round_id: RoundId,
    interval_seconds: Annotated[
        float,
        typer.Option(
            "--interval", min=0.1, max=3600, metavar="SECONDS", help="Seconds between two looks, 0.1 to 3600."
        ),
    ] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line and look.")] = False,
) -> None:
    """Watch a round run down: what is left, how fast it goes, what becomes of claims, when it will be gone.

    Until Ctrl-C. A console that goes away is waited for.
    """
    watched = Watched(console, round_id)
    # The first look may fail for good: a wrong id, no console. After it, only for a while.
    look = await watched.look()
    if as_json or not sys.stdout.isatty():
        await _lines(watched, look, interval_seconds, as_json)
        return
    terminal = Terminal(highlight=False)
    with Live(picture(look), console=terminal, auto_refresh=False) as live:
        while True:
            await asyncio.sleep(interval_seconds)
            trouble = ""
            try:
                look = await watched.look()
            except CommandError as error:
                trouble = str(error)
            live.update(picture(look, trouble), refresh=True)


async def _lines(watched: Watched, look: Look, interval_seconds: float, as_json: bool) -> None:
    while True:
        print_line(json.dumps(look.as_document()) if as_json else _line(look))
        await asyncio.sleep(interval_seconds)
        try:
            look = await watched.look()
        except CommandError as error:
            typer.echo(legible(f"claimd: {error}"), err=True)


def picture(look: Look, trouble: str = "") -> RenderableType:
    """What a person sees on a terminal; `trouble` is why it is not fresh."""
    state = look.state
    head = f"[bold]{shown(state['id'])}[/]  {shown(state['title'])}  {status_text(state['status'])}"
    share = state["remaining"] / state["total"] if state["total"] else 0.0
    numbers = f"[bold]{state['remaining']:,}[/] left of {state['total']:,}  ({share:.1%})"
    # In a cell, because a bar by itself ends without a new line and swallows the one that follows.
    bar = Table.grid(expand=True)
    bar.add_row(ProgressBar(total=max(1, state["total"]), completed=state["remaining"]))
    parts: list[RenderableType] = [Text.from_markup(head), Text.from_markup(numbers), bar, Text(_outlook(look))]
    if look.outcomes:
        parts += [Text(), _Outcomes(look)]
    if trouble:
        parts += [Text(), Text(legible(f"not fresh: {trouble}"), style="yellow")]
    return Group(*parts)


class _Outcomes:
    """A table of outcomes; a line for each where the terminal is too narrow, as rich would cut the numbers."""

    def __init__(self, look: Look) -> None:
        self._look = look

    def __rich_console__(self, console: Terminal, options: ConsoleOptions) -> RenderResult:
        """What rich prints at that width."""
        table = _outcomes(self._look)
        if console.measure(table, options=options.update(width=_ENDLESS)).maximum <= options.max_width:
            yield table
            return
        for outcome, count, rate in _outcome_rows(self._look):
            yield Text(f"{outcome} {count}, {rate}/s", overflow="fold")


def _outcome_rows(look: Look) -> list[tuple[str, str, str]]:
    counts = sorted(look.outcomes.items(), key=lambda item: -item[1])
    return [(legible(name.replace("_", " ")), f"{n:,}", f"{look.rates.get(name, 0.0):,.0f}") for name, n in counts]


def _outcomes(look: Look) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("outcome", min_width=16)
    table.add_column("claims", justify="right", min_width=12)
    table.add_column("per second", justify="right", min_width=10)
    for outcome, count, rate in _outcome_rows(look):
        table.add_row(escape(outcome), count, rate)
    return table


def _outlook(look: Look) -> str:
    """How fast, and until when."""
    status = look.state["status"]
    if look.sold_out_at_ms is not None:
        return f"sold out at {to_rfc3339(look.sold_out_at_ms)}"
    if status == "scheduled":
        paused = ", paused: no claim is granted until it is resumed" if is_paused_beforehand(look.state) else ""
        return f"opens in {_duration((from_rfc3339(look.state['opens_at']) - look.now_ms) / 1000)}{paused}"
    if status != "open":
        return legible(str(status).replace("_", " "))
    speed = f"{look.grants_per_second:,.0f} grants a second"
    if look.seconds_to_sell_out is None:
        return speed
    return f"{speed}, sold out in about {_duration(look.seconds_to_sell_out)}"


def _line(look: Look) -> str:
    state = look.state
    counts = "  ".join(f"{outcome} {count}" for outcome, count in sorted(look.outcomes.items()))
    left = f"{state['remaining']} left of {state['total']}"
    line = f"{to_rfc3339(look.now_ms)}  {state['id']} {state['status']}  {left}  {_outlook(look)}  {counts}"
    return legible(line.rstrip())


def _duration(seconds: float) -> str:
    """`42 s`, `3:07`, `2:03:07`, `4 days`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole >= 3 * 86_400:
        return f"{whole // 86_400} days"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
