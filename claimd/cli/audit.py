"""`claimd audit`: whether a round kept its promises, counted from the claims themselves."""

import sys

import typer
from rich.console import Console as Terminal

from claimd.cli import show
from claimd.cli.client import Console
from claimd.cli.console_command import RoundId, console_command
from claimd.cli.options import Json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("audit", epilog="Example: [bold]claimd audit r5 && echo proven[/]")(console_command(_audit))


async def _audit(console: Console, round_id: RoundId, as_json: Json = False) -> None:
    """Recount a round: never more claims than packs, nobody twice, no gap, and a log that agrees.

    Exit code 0: every promise was kept; 1: not, or it could not be asked. It may run while the round is open.
    """
    terminal = Terminal(stderr=True, quiet=as_json or not sys.stderr.isatty())
    with terminal.status(f"recounting {round_id}"):
        result = await console.audit(round_id)
    if as_json:
        show.as_json_text(result)
    else:
        show.audit(result, round_id)
    if not result["ok"]:
        raise typer.Exit(1)
