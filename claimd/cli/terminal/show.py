"""The console's answers: on a terminal laid out for its width, in a pipe as plain columns, or as JSON.

Ids and numbers are whole at any width. In a pipe tabs separate the fields, numbers and statuses are those of the API,
and nothing depends on COLUMNS or on the terminal.
"""

import json
import sys
from shutil import get_terminal_size
from typing import Any

from rich.cells import cell_len
from rich.console import Console as Terminal
from rich.markup import escape
from rich.table import Table

from claimd.cli.terminal.printable import printable, printable_json
from claimd.cli.terminal.streams import is_utf8

STATUS_STYLES = {"scheduled": "cyan", "open": "bold green", "paused": "yellow", "sold_out": "bold", "closed": "dim"}

_LIST_FIELDS = ("id", "status", "remaining", "issued", "total", "opens_at", "title")
_NUMBERS = {"remaining": "left", "issued": "claimed", "total": "total"}
_MIN_TITLE_CELLS = 8
_GAP = 2


def as_json_text(document: Any) -> None:
    """Print a document as JSON."""
    # Not left to the stream: it escapes as Python does, which is no JSON beyond 16 bits.
    print_line(printable_json(json.dumps(document, indent=2, ensure_ascii=not is_utf8(sys.stdout))))


def print_line(text: str) -> None:
    """Print text, and see that it is written. Raises OutputError."""
    print(text, flush=True)


def json_line(document: Any) -> str:
    """A document as JSON on one line."""
    return printable_json(json.dumps(document, ensure_ascii=not is_utf8(sys.stdout)))


def print_fields(*fields: Any) -> None:
    """A line for a program: fields with a tab between them, which no field contains."""
    print_line("\t".join(printable(_field(value)) for value in fields))


def escaped(text: str) -> str:
    """`text` for rich, without its markup and with control characters spelled out."""
    return escape(printable(text))


def status_text(status: str) -> str:
    """A status with its colour."""
    return f"[{STATUS_STYLES.get(status, 'default')}]{escaped(status.replace('_', ' '))}[/]"


def is_paused_beforehand(state: dict[str, Any]) -> bool:
    """Whether a round will be paused when it opens; until then its status is `scheduled`."""
    return bool(state["status"] == "scheduled" and state.get("paused"))


def one_round(state: dict[str, Any], *, as_json: bool) -> None:
    """Print one round, a field a line."""
    if as_json:
        as_json_text(state)
    elif sys.stdout.isatty():
        _print_lines([f"[dim]{name:<11}[/]  {value}" for name, value in _rows(state)])
    else:
        for name, value in state.items():
            print_fields(name, value)


def one_claim(claim: dict[str, Any], *, as_json: bool) -> None:
    """Print one claim, a field a line."""
    if as_json:
        as_json_text(claim)
    elif sys.stdout.isatty():
        _print_lines([f"[dim]{escaped(name):<11}[/]  {escaped(_field(value))}" for name, value in claim.items()])
    else:
        for name, value in claim.items():
            print_fields(name, value)


def many_rounds(answer: dict[str, Any], *, as_json: bool) -> None:
    """Print the list of rounds."""
    if as_json:
        as_json_text(answer)
        return
    rounds = sorted(answer["rounds"], key=lambda state: (state["opens_at"], state["id"]), reverse=True)
    if not sys.stdout.isatty():
        for state in rounds:
            print_fields(*(state[name] for name in _LIST_FIELDS))
    elif not rounds:
        print_line("no such rounds: claimd round list --all shows those that are over, too")
    else:
        _list_on_terminal(rounds, get_terminal_size().columns)


def edit(entry: dict[str, Any], action: str) -> None:
    """Print an entry of a round's log on a terminal."""
    head = f"[dim]{escaped(entry['at'])}[/]  [bold]{escaped(action.replace('_', ' '))}[/]  {escaped(entry['who'])}"
    lines = [f"{head}  [dim]version {entry['version']}[/]", f"  {escaped(entry['reason'])}"]
    changed = [f"  [dim]{escaped(name)}[/] {escaped(_field(value))}" for name, value in entry["fields"].items()]
    _print_lines(lines + changed)


def audit(result: dict[str, Any], round_id: str) -> None:
    """Print an audit, the verdict first."""
    verdict, reason = ("PASS", "every promise was kept") if result["ok"] else ("FAIL", ", ".join(_broken(result)))
    if not sys.stdout.isatty():
        print_fields(verdict, round_id, reason)
        for name, meaning in _AUDIT_ROWS.items():
            print_fields(name, result[name], meaning)
        return
    table = Table.grid(padding=(0, 2))
    for name, meaning in _AUDIT_ROWS.items():
        value = result[name]
        cells = ("yes" if value else "[red]no[/]") if isinstance(value, bool) else f"{value:,}"
        table.add_row(f"[dim]{name}[/]", cells, f"[dim]{meaning}[/]")
    table.columns[1].justify = "right"
    _print_lines([f"[bold {'green' if result['ok'] else 'red'}]{verdict}[/]  {escaped(round_id)}: {reason}"])
    _print_whole(table)


def _rows(state: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        ("round", f"[bold]{escaped(state['id'])}[/]  {escaped(state['title'])}"),
        ("status", status_text(state["status"]) + (", paused" if is_paused_beforehand(state) else "")),
        ("packs", _packs(state)),
        ("opens", escaped(state["opens_at"])),
        ("closes", escaped(state["closes_at"])),
    ]
    documents = [(name, state[name]) for name in ("pack", "eligibility") if state.get(name)]
    rows += [(name, escaped(json.dumps(document, ensure_ascii=False))) for name, document in documents]
    if "version" in state:
        rows.append(("version", str(state["version"])))
    return rows


def _packs(state: dict[str, Any]) -> str:
    return f"{state['remaining']:,} left of {state['total']:,} ({state['issued']:,} claimed)"


def _list_on_terminal(rounds: list[dict[str, Any]], width: int) -> None:
    """A table with as much of the titles as fits, one with less where little fits, else some lines for each round."""
    for numbers in (("remaining", "issued", "total"), ("remaining", "total")):
        room = width - _natural_width(_table(rounds, numbers))
        if room < 0:
            continue
        longest = max(len("title"), *(cell_len(printable(state["title"])) for state in rounds))
        cells = min(room - _GAP, longest)
        _print_whole(_table(rounds, numbers, title_cells=cells if cells >= min(longest, _MIN_TITLE_CELLS) else 0))
        return
    for state in rounds:
        lines = (status_text(state["status"]), _packs(state), f"opens {escaped(state['opens_at'])}")
        _print_lines([f"[bold]{escaped(state['id'])}[/]", *(f"  {line}" for line in lines)])
        _terminal(width).print(f"  {escaped(state['title'])}", no_wrap=True, overflow="ellipsis")


def _table(rounds: list[dict[str, Any]], numbers: tuple[str, ...], title_cells: int = 0) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, _GAP, 0, 0))
    table.add_column("round", style="bold", no_wrap=True)
    table.add_column("status", no_wrap=True)
    for name in numbers:
        table.add_column(_NUMBERS[name], justify="right", no_wrap=True)
    table.add_column("opens", no_wrap=True)
    if title_cells:
        table.add_column("title", width=title_cells, overflow="ellipsis", no_wrap=True)
    for state in rounds:
        counts = [f"{state[name]:,}" for name in numbers]
        title = [escaped(state["title"])] if title_cells else []
        table.add_row(escaped(state["id"]), status_text(state["status"]), *counts, escaped(state["opens_at"]), *title)
    return table


def _natural_width(table: Table) -> int:
    return _terminal(10_000).measure(table).maximum


def _print_whole(table: Table) -> None:
    """As wide as it is: rich would cut the columns where the terminal is narrower, which itself wraps lines."""
    _terminal(_natural_width(table)).print(table)


def _terminal(width: int) -> Terminal:
    # Without a height rich takes a width of its own where TERM is `dumb`.
    return Terminal(highlight=False, width=width, height=25)


def _print_lines(lines: list[str]) -> None:
    terminal = Terminal(highlight=False, soft_wrap=True)
    for line in lines:
        terminal.print(line)


def _field(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_AUDIT_ROWS = {
    "total": "packs to give away",
    "issued": "by the counters, without voided claims",
    "remaining": "by the counter",
    "claims": "counted one by one",
    "identities": "different people among them",
    "serials_contiguous": "serials are 1, 2, 3 … without a gap",
    "oversold": "claims beyond the total",
    "duplicates": "serials or people that appear twice",
    "log_matches": "the log has the same claims and voids",
    "voided": "claims taken back by operators",
}


def _broken(result: dict[str, Any]) -> list[str]:
    checks = {
        "oversold": result["oversold"] > 0,
        "a person holds two": result["duplicates"] > 0 or result["identities"] != result["claims"],
        "serials have gaps": not result["serials_contiguous"],
        "the counter does not match the claims": result["issued"] != result["claims"],
        "the log has other claims": not result["log_matches"],
    }
    return [sentence for sentence, is_broken in checks.items() if is_broken] or ["the console found it not ok"]
