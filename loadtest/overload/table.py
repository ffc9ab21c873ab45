"""The figures as a table for the terminal: a line for each figure, a column for each round."""

from collections.abc import Callable, Sequence
from typing import Final

from rich.table import Table

from loadtest.overload.figures import Figures, Latency


def _latency(latency: Latency) -> str:
    return f"{latency.p50_ms:,.1f} / {latency.p99_ms:,.1f} / {latency.max_ms:,.0f}"


def _recovery(figures: Figures) -> str:
    return "not reached" if figures.recovery_seconds is None else f"{figures.recovery_seconds:.1f}"


_LINES: Final[tuple[tuple[str, Callable[[Figures], str]], ...]] = (
    ("capacity, granted/s", lambda each: f"{each.capacity_per_second:,.0f}"),
    ("offered/s", lambda each: f"{each.offered_per_second:,.0f}"),
    ("sent/s", lambda each: f"{each.sent_per_second:,.0f}"),
    ("granted/s", lambda each: f"{each.granted_per_second:,.0f}"),
    ("  of the capacity", lambda each: f"{each.share_of_capacity:.1%}"),
    ("  longest gap between grants, ms", lambda each: f"{each.longest_gap_ms:,.0f}"),
    ("503 overloaded/s", lambda each: f"{each.refused_per_second:,.0f}"),
    ("503 since due: p50 / p99 / max ms", lambda each: _latency(each.refusals)),
    ("503 since sent", lambda each: _latency(each.refusals_since_sent)),
    ("201 since due", lambda each: _latency(each.grants)),
    ("  at an ordinary load", lambda each: _latency(each.ordinary_grants)),
    ("sent late", lambda each: f"{each.late:.2%}"),
    ("  for want of a connection", lambda each: f"{each.starved:.2%}"),
    ("cores: gateway, server, generator", lambda each: _cores(each)),
    ("gateway MiB: quiet, connected", lambda each: f"{each.memory.quiet:.0f}, {each.memory.connected:.0f}"),
    ("  overload's halves, after", lambda each: _halves(each)),
    ("seconds until served as before", _recovery),
    ("503 unavailable; neither 201 nor 503", lambda each: f"{each.unavailable:,}; {each.wrong:,}"),
)


def _cores(each: Figures) -> str:
    return f"{each.gateway_cpu:.2f}, {each.server_cpu:.2f}, {each.generator_cpu:.2f}"


def _halves(each: Figures) -> str:
    return f"{each.memory.first_half:.0f}, {each.memory.second_half:.0f}; {each.memory.after:.0f}"


def terminal(rounds: Sequence[Figures]) -> Table:
    """Return the figures of all rounds as a table."""
    table = Table(title="overload", title_justify="left")
    table.add_column("")
    for number in range(len(rounds)):
        table.add_column(f"round {number + 1}", justify="right")
    for name, of in _LINES:
        table.add_row(name, *map(of, rounds))
    for name in rounds[0].probes:
        probed = [each.probes[name] for each in rounds]
        table.add_row(
            f"{name}: p50 / p99 ms; not 200",
            *(f"{each.p50_ms:,.1f} / {each.p99_ms:,.1f}; {each.failed} of {each.looks}" for each in probed),
        )
    return table
