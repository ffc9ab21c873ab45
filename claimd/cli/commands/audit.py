"""`claimd audit`: whether a round kept its promises, counted from the claims themselves."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.console import Console as Terminal

from claimd.audit.archive_file import audit_archive
from claimd.cli.arguments.archive_file import or_archive
from claimd.cli.arguments.options import Json
from claimd.cli.console_client import ConsoleClient
from claimd.cli.console_command import RoundId, console_command
from claimd.cli.terminal import show


def register(app: typer.Typer) -> None:
    """Register the command `audit` on the app."""
    app.command("audit", epilog="Example: [bold]claimd audit r5 && echo proven[/]")(
        or_archive(console_command(_audit), _audit_file)
    )


async def _audit(console: ConsoleClient, round_id: RoundId, as_json: Json = False) -> None:
    """Recount a round: never more claims than packs, no person twice, no gap, and a log that agrees.

    Exit code 0: every promise was kept; 1: not, or it could not be asked. It may run while the round is open.
    The path of an archive, in the place of the id, needs no server.
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


def _audit_file(path: Path, *, as_json: bool = False, **_: Any) -> None:
    """Print the audit of an archive, and the digest of the file. Raises ArchiveError."""
    found = audit_archive(path)
    result = {"ok": found.audit.ok, **asdict(found.audit)}
    if as_json:
        show.as_json_text({**result, "round": found.round.id, "file": str(path), "sha256": found.sha256})
    else:
        show.audit(result, found.round.id)
        note = "of this file; compare it with what `claimd round archive` printed"
        if sys.stdout.isatty():
            typer.echo(f"sha256  {found.sha256}\n        {note}")
        else:
            show.print_fields("sha256", found.sha256, note)
    if not found.audit.ok:
        raise typer.Exit(1)
