"""The terminal output of a drop, during and after it. The parent process draws it, so it never delays the crowd."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from rich.console import Console as Terminal
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from loadtest.crowd.pace import Pace, describe_pace, pace_of

_LINE_EVERY_SECONDS: Final = 5.0
_COLOURS: Final = {"pass": "green", "fail": "red", "invalid": "yellow"}


class Display(Protocol):
    """Displays the progress messages of the Locust process."""

    def show(self, news: dict[str, Any]) -> None:
        """Display one progress message of the crowd."""


class _Rates:
    """Rates a second, computed from totals."""

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}

    def of(self, news: dict[str, Any]) -> tuple[float, float]:
        """Requests and grants a second since the last message."""
        last, self._last = self._last, news
        passed = news["offset"] - last.get("offset", news["offset"])
        if passed <= 0:
            return 0.0, 0.0
        return (news["offered"] - last["offered"]) / passed, (news["granted"] - last["granted"]) / passed


class _Lines:
    """For a pipe or a log: a line every five seconds."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal, self._rates = terminal, _Rates()
        self._next = float("-inf")

    def show(self, news: dict[str, Any]) -> None:
        if news["phase"] != "running":
            if sentence := sentence_for(news):
                self._terminal.print(sentence)
            return
        if news["offset"] < self._next:
            return
        self._next = news["offset"] + _LINE_EVERY_SECONDS
        offered, granted = self._rates.of(news)
        if news["people"] and news["offset"] < 0:
            self._terminal.print(
                f"{news['offset']:7.1f} s   {news['passes']:>9,} of {news['people']:,} have a pass   "
                f"{offered:>6,.0f} requests/s   p50 {news['p50_ms']:,.1f} ms   p99 {news['p99_ms']:,.1f} ms   "
                f"{news['errors']:,} errors",
                highlight=False,
            )
            return
        self._terminal.print(
            f"{news['offset']:7.1f} s   {news['pool'] - news['granted']:>9,} left   {granted:>6,.0f} grants/s   "
            f"{offered:>6,.0f} requests/s   p50 {news['p50_ms']:,.1f} ms   p99 {news['p99_ms']:,.1f} ms   "
            f"{news['errors']:,} errors",
            highlight=False,
        )


class _Picture:
    """For a terminal: one picture, redrawn."""

    def __init__(self, live: Live) -> None:
        self._live, self._rates = live, _Rates()

    def show(self, news: dict[str, Any]) -> None:
        if news["phase"] == "running":
            self._live.update(self._draw(news))
        elif sentence := sentence_for(news):
            self._live.console.print(sentence, style="dim")

    def _draw(self, news: dict[str, Any]) -> Group:
        offered, granted = self._rates.of(news)
        pool, left = news["pool"], news["pool"] - news["granted"]
        offset, seconds = news["offset"], news["seconds"]
        grid = Table.grid(padding=(0, 3))
        for _ in range(4):
            grid.add_column(justify="right")
            grid.add_column(justify="left", style="dim")
        grid.add_row(
            f"{left:,}", f"of {pool:,} left", f"{granted:,.0f}", "grants/s", f"{offered:,.0f}", "requests/s",
            f"{news['waiting']:,}", "waiting",
        )  # fmt: skip
        if news["people"]:
            grid.add_row(
                f"{news['passes']:,}", f"of {news['people']:,} have a pass", f"{news['readings']:,}", "readings",
            )  # fmt: skip
        grid.add_row(
            f"{news['p50_ms']:,.1f} ms", "p50", f"{news['p99_ms']:,.1f} ms", "p99", f"{news['sold_out']:,}", "sold out",
            f"{news['errors']:,}", "errors",
        )  # fmt: skip
        clock = f"opens in {-offset:.0f} s" if offset < 0 else f"{offset:.0f} s"
        style = "red" if news["errors"] else "green"
        # A bar does not end its line; a row does.
        bars = Table.grid()
        bars.add_row(
            ProgressBar(total=pool, completed=news["granted"], width=72, complete_style=style, finished_style=style)
        )
        if pace_of(seconds) is Pace.OPEN:
            time_gone = min(max(offset, 0), seconds)
            bars.add_row(ProgressBar(total=seconds, completed=time_gone, width=72, complete_style="dim"))
        return Group(Text(f"{clock}, to be sold out {describe_pace(seconds)}", style="bold"), bars, grid)


def sentence_for(news: dict[str, Any]) -> str | None:
    """The line that announces a phase of the run; None where there is none."""
    return {
        "preparing": "the crowd gathers and gets its passes …",
        "minting": "the crowd gathers and gets its tokens …",
        "auditing": "all requests are answered: audit and recount …",
    }.get(news["phase"])


@contextmanager
def display(terminal: Terminal) -> Iterator[Display]:
    """The display for a terminal, or for a pipe."""
    if not terminal.is_terminal:
        yield _Lines(terminal)
        return
    with Live(console=terminal, refresh_per_second=4, transient=True) as live:
        yield _Picture(live)


def summary(report: dict[str, Any]) -> Group:
    """The verdict and the figures behind it."""
    colour = _COLOURS[report["verdict"]]
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    took = report["seconds_to_sellout"]
    latency, generator = report["latency_ms"], report["generator"]
    table.add_row("sold out in", "not sold out" if took is None else f"{took:.2f} s ({_against(report)})")
    table.add_row("granted", f"{report['granted']:,} of {report['pool']:,}")
    table.add_row("offered", f"{report['offered']:,} requests")
    refusals = f"{report['sold_out']:,} sold out, {report['refused']:,} refused correctly"
    table.add_row("answers", f"{report['replayed']:,} replayed, {refusals}")
    table.add_row("errors", f"{report['errors']:,}")
    table.add_row("latency", "   ".join(f"{name} {value:,.1f} ms" for name, value in latency.items()))
    for name, part in (("gathering", report["gathering"]), ("beside", report["beside_drop"])):
        if part is not None:
            table.add_row(name, _part(part))
    table.add_row("audit", "ok" if report["audit"].get("ok") else "NOT OK")
    table.add_row("recount", "ok" if report["recount"].get("ok") else "NOT OK")
    lateness = f"{generator['late_fraction']:.3%} late" if report["loop"] == Pace.OPEN else "closed loop, never late"
    table.add_row("generator", f"{lateness}, {generator['cpu_fraction']:.0%} of a core")
    for name, process in report["processes"].items():
        table.add_row(name, f"{process['cpu_fraction']:.0%} of a core, {process['rss_peak_mib']:,.0f} MiB")
    if report["capacity"] and report["capacity"]["busiest"]:
        share = report["capacity"]["busiest_cpu_fraction"]
        table.add_row("busiest", f"{report['capacity']['busiest']}, {share:.0%} of a core in its busiest 5 s")
    reasons = [Text(f"  {reason}", style=colour) for reason in report["reasons"]]
    return Group(Text(report["verdict"].upper(), style=f"bold {colour}"), *reasons, table)


def _part(part: dict[str, Any]) -> str:
    """The figures of one part of whole visits, a line for each kind of request."""
    lines = [
        f"{own['asked']:>9,} {kind.replace('_', ' ')}   up to {own['peak_asked_per_second']:,}/s   "
        f"p50 {own['latency_ms']['p50']:,.1f} ms   p99 {own['latency_ms']['p99']:,.1f} ms   {own['errors']:,} errors"
        for kind, own in part["requests"].items()
    ]
    return "\n".join(lines)


def _against(report: dict[str, Any]) -> str:
    """What the time to the sell-out is compared with."""
    if report["loop"] == Pace.OPEN:
        return f"target {report['seconds_target']:g} s"
    rate = report["capacity"]["packs_per_second"]
    return describe_pace(0) if rate is None else f"{describe_pace(0)}: {rate:,} packs a second"
