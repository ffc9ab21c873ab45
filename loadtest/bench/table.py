"""The bench's result as tables: in the terminal, and as Markdown for the docs."""

from collections.abc import Mapping
from typing import Any, Final

from rich.table import Table

from loadtest.bench.measuring import REPLAY, SOLD_OUT, WIN

_TITLES: Final = {WIN: "all win", REPLAY: "all replays", SOLD_OUT: "all sold out"}
_COLUMNS: Final = ("", "gateway µs", "server µs", "claims/s", "p50 ms", "p99 ms", "batch")


def rows(contenders: Mapping[str, Mapping[str, Any]], workload: str) -> list[list[str]]:
    """A row for each contender: medians, and of the CPU times the spread."""
    return [
        [
            name,
            _spread(figures, "gateway_us_per_claim"),
            _spread(figures, "server_us_per_claim"),
            f"{figures['rps']:,.0f}",
            f"{figures['p50_ms']:.2f}",
            f"{figures['p99_ms']:.2f}",
            "" if figures["mean_batch"] is None else f"{figures['mean_batch']:.0f}",
        ]
        for name, entry in contenders.items()
        if (figures := entry["workloads"].get(workload))
    ]


def terminal(contenders: Mapping[str, Mapping[str, Any]], workload: str) -> Table:
    """For people."""
    table = Table(title=_TITLES[workload], title_justify="left")
    for index, column in enumerate(_COLUMNS):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    for row in rows(contenders, workload):
        table.add_row(*row)
    return table


def markdown(contenders: Mapping[str, Mapping[str, Any]]) -> str:
    """For the docs: a table for each workload."""
    parts = []
    for workload, title in _TITLES.items():
        lines = [("", *_COLUMNS[1:]), ("---", *["---:"] * (len(_COLUMNS) - 1)), *rows(contenders, workload)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        parts.append(f"**{title.capitalize()}**\n\n{table}\n")
    return "\n".join(parts)


def _spread(figures: Mapping[str, Any], key: str) -> str:
    least, most = figures["spread"][key]
    return f"{figures[key]:.1f} ({least:.1f} to {most:.1f})"
