"""What the console says, for a person (rich) or for a program (plain JSON, never coloured, never cut)."""

import json
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from claimd.cli.legible import legible, legible_json

STATUS_STYLES = {"scheduled": "cyan", "open": "bold green", "paused": "yellow", "sold_out": "bold", "closed": "dim"}


def as_json_text(document: Any) -> None:
    """Print a document as JSON."""
    typer.echo(legible_json(json.dumps(document, indent=2, ensure_ascii=False)))


def shown(text: str) -> str:
    """Another's words for rich: no markup, and nothing that a terminal obeys."""
    return escape(legible(text))


def status_text(status: str) -> str:
    """A status with its colour."""
    return f"[{STATUS_STYLES.get(status, 'default')}]{shown(status.replace('_', ' '))}[/]"


def one_round(state: dict[str, Any], *, as_json: bool) -> None:
    """Print a round."""
    if as_json:
        as_json_text(state)
        return
    table = Table.grid(padding=(0, 2))
    table.add_row("[dim]round[/]", f"[bold]{shown(state['id'])}[/]  {shown(state['title'])}")
    table.add_row("[dim]status[/]", status_text(state["status"]))
    table.add_row("[dim]packs[/]", f"{state['remaining']:,} left of {state['total']:,} ({state['issued']:,} claimed)")
    table.add_row("[dim]opens[/]", shown(state["opens_at"]))
    table.add_row("[dim]closes[/]", shown(state["closes_at"]))
    if state.get("pack"):
        table.add_row("[dim]pack[/]", shown(json.dumps(state["pack"], ensure_ascii=False)))
    Console(highlight=False).print(table)


def many_rounds(answer: dict[str, Any], *, as_json: bool) -> None:
    """Print the list of rounds."""
    if as_json:
        as_json_text(answer)
        return
    rounds = sorted(answer["rounds"], key=lambda state: (state["opens_at"], state["id"]), reverse=True)
    if not rounds:
        typer.echo("no rounds yet: claimd round create --help")
        return
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("round", style="bold")
    table.add_column("status", no_wrap=True)
    for name in ("left", "claimed", "total"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("opens", no_wrap=True)
    table.add_column("title", overflow="ellipsis", no_wrap=True)
    for state in rounds:
        numbers = [f"{state[name]:,}" for name in ("remaining", "issued", "total")]
        table.add_row(
            shown(state["id"]), status_text(state["status"]), *numbers, shown(state["opens_at"]), shown(state["title"])
        )
    Console(highlight=False).print(table)


def audit(result: dict[str, Any], round_id: str) -> None:
    """Print an audit, the verdict first."""
    out = Console(highlight=False)
    if result["ok"]:
        out.print(f"[bold green]PASS[/]  {shown(round_id)}: every promise was kept")
    else:
        out.print(f"[bold red]FAIL[/]  {shown(round_id)}: {', '.join(_broken(result))}")
    table = Table.grid(padding=(0, 2))
    for name, meaning in _AUDIT_ROWS.items():
        value = result[name]
        said = ("yes" if value else "[red]no[/]") if isinstance(value, bool) else f"{value:,}"
        table.add_row(f"[dim]{name}[/]", said, f"[dim]{meaning}[/]")
    table.columns[1].justify = "right"
    out.print(table)


_AUDIT_ROWS = {
    "total": "packs to give away",
    "issued": "by the counter",
    "remaining": "by the counter",
    "claims": "counted one by one",
    "identities": "different people among them",
    "serials_contiguous": "serials are 1, 2, 3 … without a gap",
    "oversold": "claims beyond the total",
    "duplicates": "serials or people that appear twice",
    "log_matches": "the log tells the same story",
}


def _broken(result: dict[str, Any]) -> list[str]:
    checks = {
        "oversold": result["oversold"] > 0,
        "somebody holds two": result["duplicates"] > 0 or result["identities"] != result["claims"],
        "serials have gaps": not result["serials_contiguous"],
        "the counter does not match the claims": result["issued"] != result["claims"],
        "the log tells another story": not result["log_matches"],
    }
    return [sentence for sentence, is_broken in checks.items() if is_broken] or ["the console says no"]
