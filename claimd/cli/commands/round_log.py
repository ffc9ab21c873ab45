"""`claimd round log`: who did what to a round, when and why."""

import json
import sys

import typer

from claimd.cli.arguments.options import Json
from claimd.cli.console_client import ConsoleClient
from claimd.cli.console_command import RoundId, console_command
from claimd.cli.terminal import show


def register(group: typer.Typer) -> None:
    """Add the command to `claimd round`."""
    group.command("log", epilog="Example: [bold]claimd round log r5 --json[/]")(console_command(_log))


async def _log(console: ConsoleClient, round_id: RoundId, as_json: Json = False) -> None:
    """Show every creation and edit of a round, the first one first.

    With --json one object a line, as the console has it. In a pipe: a line for each edit, with tabs between time,
    version, who, action, reason and the fields as JSON.
    """
    async for entry in console.log(round_id):
        if as_json:
            show.print_line(show.json_line(entry))
            continue
        action = entry["action"] or "edit"
        if sys.stdout.isatty():
            show.edit(entry, action)
        else:
            fields = json.dumps(entry["fields"], ensure_ascii=False)
            show.print_fields(entry["at"], entry["version"], entry["who"], action, entry["reason"], fields)
