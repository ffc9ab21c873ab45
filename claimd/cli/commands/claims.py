"""`claimd claim find` and `claimd claim void`: one person's claim, looked up and taken back."""

import sys
from typing import Annotated

import typer

from claimd.cli.arguments.options import Json, Reason, Yes
from claimd.cli.console_client import ConsoleClient
from claimd.cli.console_command import RoundId, console_command
from claimd.cli.terminal import show
from claimd.cli.terminal.confirm import confirm
from claimd.cli.terminal.printable import printable

_FROM_INPUT = "-"


def register(app: typer.Typer) -> None:
    """Register the commands of `claimd claim` on the app."""
    group = typer.Typer(no_args_is_help=True, help="Find a person's claim, and void it.")
    group.command("find", epilog="Example: [bold]claimd claim find r5 8c1f0d3e-person[/]")(console_command(_find))
    group.command("void", epilog='Example: [bold]claimd claim void r5 lkhliqtm7kagyvbl-7 --reason "forged" --bar[/]')(
        console_command(_void)
    )
    app.add_typer(group, name="claim")


async def _find(
    console: ConsoleClient,
    round_id: RoundId,
    sub: Annotated[
        str,
        typer.Argument(
            metavar="SUB",
            help="What the person's token has in the claim that names them, exactly; - reads it from standard input, "
            "as other users of this machine can see arguments.",
        ),
    ],
    as_json: Json = False,
) -> None:
    """Find the claim that a person holds in a round."""
    if sub == _FROM_INPUT:
        sub = sys.stdin.readline().rstrip("\r\n")
    show.one_claim(await console.find_claim(round_id, sub), as_json=as_json)


async def _void(
    console: ConsoleClient,
    round_id: RoundId,
    claim: Annotated[str, typer.Argument(metavar="CLAIM", help="The claim's id, as in an export or `claim find`.")],
    reason: Reason,
    bar: Annotated[bool, typer.Option("--bar", help="Let the person claim no other pack in this round.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Void a claim: its pack is in stock again at once. To repeat it changes nothing."""
    if not yes:
        after = "the person may not claim again" if bar else "the person may claim again"
        confirm(f"Void the claim {printable(claim)} of {round_id} ({after})? It cannot be undone.")
    voided = await console.void_claim(round_id, claim, reason, bar=bar)
    show.one_claim({**voided["claim"], "voided_at": voided["voided_at"], "barred": voided["barred"]}, as_json=as_json)
    if bar and not voided["barred"]:
        typer.echo(f"{printable(claim)} was voided before, and its person not barred: they still are not", err=True)
