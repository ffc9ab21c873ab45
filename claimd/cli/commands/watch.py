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

from claimd.cli.console_client import ConsoleClient
from claimd.cli.console_command import RoundId, console_command
from claimd.cli.round_watcher import RoundSample, RoundWatcher
from claimd.cli.terminal.printable import printable
from claimd.cli.terminal.show import escaped, is_paused_beforehand, print_line, status_text
from claimd.domain.times import from_rfc3339, to_rfc3339
from claimd.errors import CommandError

_ENDLESS = 10_000


def register(app: typer.Typer) -> None:
    """Register the command `watch` on the app."""
    app.command("watch", epilog="Example: [bold]claimd watch r5[/]")(console_command(_watch))


async def _watch(
    console: ConsoleClient,
    round_id: RoundId,
    interval_seconds: Annotated[
        float,
        typer.Option(
            "--interval", min=0.1, max=3600, metavar="SECONDS", help="Seconds between two looks, 0.1 to 3600."
        ),
    ] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line and sample.")] = False,
) -> None:
    """Watch a round run down: what is left, how fast it goes, what becomes of claims, when it will be gone.

    Until Ctrl-C. A console that goes away is waited for.
    """
    watcher = RoundWatcher(console, round_id)
    # The first look may fail for good: a wrong id, no console. After it, only for a while.
    sample = await watcher.sample()
    if as_json or not sys.stdout.isatty():
        await _lines(watcher, sample, interval_seconds, as_json)
        return
    terminal = Terminal(highlight=False)
    with Live(picture(sample), console=terminal, auto_refresh=False) as live:
        while True:
            await asyncio.sleep(interval_seconds)
            trouble = ""
            try:
                sample = await watcher.sample()
            except CommandError as error:
                trouble = str(error)
            live.update(picture(sample, trouble), refresh=True)


async def _lines(watcher: RoundWatcher, sample: RoundSample, interval_seconds: float, as_json: bool) -> None:
    while True:
        print_line(json.dumps(sample.as_document()) if as_json else _line(sample))
        await asyncio.sleep(interval_seconds)
        try:
            sample = await watcher.sample()
        except CommandError as error:
            typer.echo(printable(f"claimd: {error}"), err=True)


def picture(sample: RoundSample, trouble: str = "") -> RenderableType:
    """What a person sees on a terminal; `trouble` is why it is not fresh."""
    state = sample.state
    head = f"[bold]{escaped(state['id'])}[/]  {escaped(state['title'])}  {status_text(state['status'])}"
    share = state["remaining"] / state["total"] if state["total"] else 0.0
    numbers = f"[bold]{state['remaining']:,}[/] left of {state['total']:,}  ({share:.1%})"
    # In a cell, because a bar by itself ends without a new line and swallows the one that follows.
    bar = Table.grid(expand=True)
    bar.add_row(ProgressBar(total=max(1, state["total"]), completed=state["remaining"]))
    parts: list[RenderableType] = [Text.from_markup(head), Text.from_markup(numbers), bar, Text(_outlook(sample))]
    if sample.outcomes:
        parts += [Text(), _Outcomes(sample)]
    if trouble:
        parts += [Text(), Text(printable(f"not fresh: {trouble}"), style="yellow")]
    return Group(*parts)


class _Outcomes:
    """A table of outcomes; a line for each where the terminal is too narrow, as rich would cut the numbers."""

    def __init__(self, sample: RoundSample) -> None:
        self._sample = sample

    def __rich_console__(self, console: Terminal, options: ConsoleOptions) -> RenderResult:
        """Yield the table, or one line an outcome where the table is too wide."""
        table = _outcomes(self._sample)
        if console.measure(table, options=options.update(width=_ENDLESS)).maximum <= options.max_width:
            yield table
            return
        for outcome, count, rate in _outcome_rows(self._sample):
            yield Text(f"{outcome} {count}, {rate}/s", overflow="fold")


def _outcome_rows(sample: RoundSample) -> list[tuple[str, str, str]]:
    counts = sorted(sample.outcomes.items(), key=lambda item: -item[1])
    return [(printable(name.replace("_", " ")), f"{n:,}", f"{sample.rates.get(name, 0.0):,.0f}") for name, n in counts]


def _outcomes(sample: RoundSample) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("outcome", min_width=16)
    table.add_column("claims", justify="right", min_width=12)
    table.add_column("per second", justify="right", min_width=10)
    for outcome, count, rate in _outcome_rows(sample):
        table.add_row(escape(outcome), count, rate)
    return table


def _outlook(sample: RoundSample) -> str:
    """The rate and the expected time of the sell-out, or the status, as a phrase."""
    status = sample.state["status"]
    if sample.sold_out_at_ms is not None:
        return f"sold out at {to_rfc3339(sample.sold_out_at_ms)}"
    if status == "scheduled":
        paused = ", paused: no claim is granted until it is resumed" if is_paused_beforehand(sample.state) else ""
        return f"opens in {_duration((from_rfc3339(sample.state['opens_at']) - sample.now_ms) / 1000)}{paused}"
    if status != "open":
        return printable(str(status).replace("_", " "))
    speed = f"{sample.grants_per_second:,.0f} grants a second"
    if sample.seconds_to_sell_out is None:
        return speed
    return f"{speed}, sold out in about {_duration(sample.seconds_to_sell_out)}"


def _line(sample: RoundSample) -> str:
    state = sample.state
    counts = "  ".join(f"{outcome} {count}" for outcome, count in sorted(sample.outcomes.items()))
    left = f"{state['remaining']} left of {state['total']}"
    line = f"{to_rfc3339(sample.now_ms)}  {state['id']} {state['status']}  {left}  {_outlook(sample)}  {counts}"
    return printable(line.rstrip())


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
