"""`claimd round delete` and `claimd round revoke-passes`: what takes something away that people were given, or saw."""

from typing import Annotated

import typer

from claimd.cli.arguments.options import IfVersion, Json, Reason, Yes
from claimd.cli.console_client import ConsoleClient
from claimd.cli.console_command import RoundId, console_command
from claimd.cli.terminal import show
from claimd.cli.terminal.confirm import confirm
from claimd.cli.terminal.notes import note_what_follows
from claimd.cli.terminal.printable import printable


def register(group: typer.Typer) -> None:
    """Add the commands to `claimd round`."""
    group.command("delete", epilog='Example: [bold]claimd round delete r5 --reason "wrong year"[/]')(
        console_command(_delete)
    )
    group.command("revoke-passes", epilog='Example: [bold]claimd round revoke-passes r5 --reason "a leak"[/]')(
        console_command(_revoke_passes)
    )


async def _delete(
    console: ConsoleClient,
    round_id: RoundId,
    reason: Annotated[str, typer.Option("--reason", help="Why, in at most 1,000 characters.")] = "deleted",
    yes: Yes = False,
    if_version: IfVersion = None,
) -> None:
    """Delete a round in which nothing was ever claimed. Its id can be used again; its log is kept."""
    if not yes:
        state = await console.round(round_id)
        confirm(f"Delete {round_id} ({printable(state['title'])}, {printable(state['status'])})?")
        if_version = if_version or state.get("version")
    await console.delete(round_id, reason, if_version)
    typer.echo(f"{round_id} is deleted", err=True)


async def _revoke_passes(
    console: ConsoleClient, round_id: RoundId, reason: Reason, if_version: IfVersion = None, as_json: Json = False
) -> None:
    """Revoke every pass that was issued for a round so far: the app then gets new ones. Claims that are held stay."""
    state = await console.command_round(round_id, action="passes/revoke", reason=reason, if_version=if_version)
    show.one_round(state, as_json=as_json)
    note_what_follows(state)
