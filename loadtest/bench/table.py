"""The figures of the bench as tables: for the terminal, and in Markdown for the docs."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.table import Table

from loadtest.bench.figures import CEILINGS
from loadtest.bench.measuring import Workload
from loadtest.bench.visiting import Step

_TITLES: Final = {Workload.WIN: "all win", Workload.REPLAY: "all replays", Workload.SOLD_OUT: "all sold out"}
_COLUMNS: Final = ("", "gateway µs", "server µs", "claims/s", "p50 ms", "p99 ms", "batch")
_VISIT_TITLE: Final = "a visit"

Row = Sequence[str]


def terminal(report: Mapping[str, Any]) -> list[Table]:
    """Return the tables of a report for the terminal: one for each workload, one for the visit; no empty one."""
    tables = []
    for title, columns, rows in _tables(report):
        table = Table(title=title, title_justify="left")
        for index, column in enumerate(columns):
            table.add_column(column, justify="right" if index else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        tables.append(table)
    return tables


def markdown(report: Mapping[str, Any]) -> str:
    """Return the same tables in Markdown, for the docs."""
    parts = []
    for title, columns, rows in _tables(report):
        lines = [columns, ("---", *["---:"] * (len(columns) - 1)), *rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        parts.append(f"**{title.capitalize()}**\n\n{table}\n")
    return "\n".join(parts)


def _tables(report: Mapping[str, Any]) -> list[tuple[str, Row, list[Row]]]:
    claims, visit = report["contenders"], report["visit"].get("contenders", {})
    found: list[tuple[str, Row, list[Row]]] = [
        (title, _COLUMNS, _claim_rows(claims, workload)) for workload, title in _TITLES.items()
    ]
    columns = [column for name in visit for column in (f"{name} µs", "server µs")]
    found.append((_VISIT_TITLE, ("", *columns), _visit_rows(visit)))
    return [table for table in found if table[2]]


def _claim_rows(contenders: Mapping[str, Mapping[str, Any]], workload: Workload) -> list[Row]:
    """A row for each contender: medians, and the spread of the CPU times."""
    return [
        (
            name,
            _spread(figures, "gateway_us_per_claim"),
            _spread(figures, "server_us_per_claim"),
            f"{figures['rps']:,.0f}",
            f"{figures['p50_ms']:.2f}",
            f"{figures['p99_ms']:.2f}",
            "" if figures["mean_batch"] is None else f"{figures['mean_batch']:.0f}",
        )
        for name, entry in contenders.items()
        if (figures := entry["workloads"].get(workload))
    ]


def _visit_rows(visit: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """A row for each request, and one for their sum; two columns for each contender."""
    if not visit:
        return []
    keys = ("gateway_us", "server_us")
    rows: list[Row] = [
        (step, *(_spread(entry["requests"][step], key) for entry in visit.values() for key in keys)) for step in Step
    ]
    return [*rows, ("in sum", *(f"{entry[key]:.1f}" for entry in visit.values() for key in keys))]


def _spread(figures: Mapping[str, Any], key: str) -> str:
    least, most = figures["spread"][key]
    return f"{figures[key]:.1f} ({least:.1f} to {most:.1f})"


def sentences(report: Mapping[str, Any]) -> list[str]:
    """Return what the figures with a target come to, and what was left out."""
    found, visit = report["ratios"], report["visit"].get("ratios", {})
    texts = {
        "of_aiohttp_redis": "a granted claim takes {:.1%} of the CPU time of aiohttp + redis-py ({:.0%} is the aim)",
        "of_nginx_lua": "a granted claim takes {:.1%} of the CPU time of nginx + Lua ({:.0%} is the aim)",
        "of_floors": "a granted claim takes {:.2f} times the CPU time of the floors ({:g} is the aim)",
        "varied_heads_us": "varied heads take {:.1f} µs more a claim than equal ones ({:g} is the aim)",
    }
    lines = [text.format(found[key], CEILINGS[key]) for key, text in texts.items() if key in found]
    if "of_aiohttp_redis" in visit:
        lines.append(f"a visit takes {visit['of_aiohttp_redis']:.1%} of the CPU time of aiohttp + redis-py")
    return lines + [f"left out: {name}: {reason}" for name, reason in report["left_out"].items()]
