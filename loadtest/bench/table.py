"""The figures of the bench as tables: for the terminal, and in Markdown for the docs."""

from collections.abc import Mapping
from typing import Any, Final

from rich.table import Table

from loadtest.bench.measuring import Workload

_TITLES: Final = {Workload.WIN: "all win", Workload.REPLAY: "all replays", Workload.SOLD_OUT: "all sold out"}
_COLUMNS: Final = ("", "gateway µs", "server µs", "claims/s", "p50 ms", "p99 ms", "batch")


def rows(contenders: Mapping[str, Mapping[str, Any]], workload: Workload) -> list[list[str]]:
    """Return a row for each contender: medians, and the spread of the CPU times."""
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


def terminal(contenders: Mapping[str, Mapping[str, Any]], workload: Workload) -> Table:
    """Return the table of a workload for the terminal."""
    table = Table(title=_TITLES[workload], title_justify="left")
    for index, column in enumerate(_COLUMNS):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    for row in rows(contenders, workload):
        table.add_row(*row)
    return table


def markdown(contenders: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a Markdown table for each workload, for the docs."""
    parts = []
    for workload, title in _TITLES.items():
        lines = [("", *_COLUMNS[1:]), ("---", *["---:"] * (len(_COLUMNS) - 1)), *rows(contenders, workload)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        parts.append(f"**{title.capitalize()}**\n\n{table}\n")
    return "\n".join(parts)


def _spread(figures: Mapping[str, Any], key: str) -> str:
    least, most = figures["spread"][key]
    return f"{figures[key]:.1f} ({least:.1f} to {most:.1f})"
