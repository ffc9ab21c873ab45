"""`claimd round archive`: a closed round leaves the server for a file."""

import sys
from typing import Annotated

import typer

from claimd.cli.arguments.options import IfVersion, Json, Yes
from claimd.cli.console_client import ConsoleClient
from claimd.cli.console_command import RoundId, console_command
from claimd.cli.terminal import show
from claimd.cli.terminal.confirm import confirm
from claimd.cli.terminal.printable import printable

_REWRITES = {
    "started": "the server rewrites its file now, so that a restart reads only what is left",
    "postponed": "a restart still reads the round: another is open, or opens soon. Run this again after that one",
    "failed": "a restart still reads the round: the server could not be asked to rewrite its file. Run this again",
    None: "a restart of your server still reads the round until BGREWRITEAOF; run that while no round is open",
}


def register(group: typer.Typer) -> None:
    """Add the command to `claimd round`."""
    group.command("archive", epilog='Example: [bold]claimd round archive r5 --reason "the season is over"[/]')(
        console_command(_archive)
    )


async def _archive(
    console: ConsoleClient,
    round_id: RoundId,
    reason: Annotated[str, typer.Option("--reason", help="Why, in at most 1,000 characters; the server keeps it.")],
    yes: Yes = False,
    if_version: IfVersion = None,
    as_json: Json = False,
) -> None:
    """Move a closed round from the server to a file on the console's machine, which `claimd audit FILE` checks.

    Its id stays taken. Claims can then be read from the file alone: the app is answered 410 `archived`. Running it
    again is safe, and prints the same file.
    """
    if not yes:
        confirm(f"Archive {round_id}? Its claims leave the server, and the app can no longer look them up.")
    archived = await console.archive(round_id, reason, if_version)
    if as_json:
        show.as_json_text(archived)
        return
    if sys.stdout.isatty():
        typer.echo(f"{round_id} is archived: {archived['issued']:,} claims of {archived['total']:,} packs")
        typer.echo(printable(f"file    {archived['file']}"))
        typer.echo(printable(f"sha256  {archived['sha256']}"))
    else:
        for name in ("id", "issued", "total", "file", "sha256"):
            show.print_fields(name, archived.get(name))
    _note("keep the digest apart from the file, and copy the file elsewhere: there is no other copy of the claims")
    _note(f"restarts: {_REWRITES.get(archived.get('rewrite'), 'unknown')}")


def _note(sentence: str) -> None:
    typer.echo(sentence, err=True)
