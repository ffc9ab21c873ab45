"""`claimd round …`: creating, reading and changing rounds."""

from typing import Annotated, Any

import typer

from claimd.cli import moments, show
from claimd.cli.client import Console
from claimd.cli.confirm import confirm
from claimd.cli.console_command import RoundId, console_command
from claimd.cli.documents import read_document
from claimd.cli.errors import WrongUsage
from claimd.cli.legible import legible
from claimd.cli.options import Json
from claimd.domain.times import from_rfc3339, to_rfc3339

_DAY_MS = 86_400_000

_Reason = Annotated[
    str, typer.Option("--reason", help="Why, in at most 1,000 characters; it stands in the round's log for ever.")
]
_OpensAt = typer.Option("--opens-at", metavar="TIME", help=moments.HELP, show_default=False)
_ClosesAt = typer.Option("--closes-at", metavar="TIME", help="As --opens-at.", show_default="24 h after opening")
_Pack = Annotated[
    str | None,
    typer.Option(
        "--pack",
        metavar="JSON",
        help="What is given away: a JSON object of at most 4 KiB, or @FILE.",
        show_default=False,
    ),
]
_Eligibility = Annotated[
    str | None,
    typer.Option(
        "--eligibility",
        metavar="JSON",
        help="""Who may claim: '{"city": ["hangzhou"]}', or @FILE; each named claim of the JWT must hold one of its
        values. '{}' admits everyone.""",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Create, read and change rounds.")
    group.command(
        "create", epilog='Example: [bold]claimd round create r5 --title "Round 5" --total 1500000 --opens-at +5m[/]'
    )(console_command(_create))
    group.command("list", epilog="Example: [bold]claimd round list --json[/]")(console_command(_list))
    group.command("show", epilog="Example: [bold]claimd round show r5[/]")(console_command(_show))
    group.command("edit", epilog='Example: [bold]claimd round edit r5 --total 2000000 --reason "Wuhan\'s rest"[/]')(
        console_command(_edit)
    )
    group.command("pause", epilog='Example: [bold]claimd round pause r5 --reason "wrong pack"[/]')(
        console_command(_pause)
    )
    group.command("resume", epilog='Example: [bold]claimd round resume r5 --reason "pack is right"[/]')(
        console_command(_resume)
    )
    group.command("close", epilog='Example: [bold]claimd round close r5 --reason "called off" --yes[/]')(
        console_command(_close)
    )
    app.add_typer(group, name="round")


async def _create(
    console: Console,
    round_id: RoundId,
    title: Annotated[str, typer.Option("--title", help="What people read, in at most 200 characters.")],
    total: Annotated[int, typer.Option("--total", min=0, max=2**31, help="Packs to give away.")],
    opens_at: Annotated[str, _OpensAt],
    closes_at: Annotated[str | None, _ClosesAt] = None,
    pack: _Pack = None,
    eligibility: _Eligibility = None,
    as_json: Json = False,
) -> None:
    """Create a round. It opens by itself, by the server's clock."""
    now_ms = await _server_now_ms(console)
    opens_at_ms = moments.parse_moment(opens_at, now_ms, "--opens-at")
    closes_at_ms = (
        moments.parse_moment(closes_at, now_ms, "--closes-at")
        if closes_at
        else moments.within_rfc3339(opens_at_ms + _DAY_MS, "--closes-at, 24 h after the opening,")
    )
    body = {
        "id": round_id,
        "title": title,
        "total": total,
        "opens_at": to_rfc3339(opens_at_ms),
        "closes_at": to_rfc3339(closes_at_ms),
        **_documents(pack=pack, eligibility=eligibility),
    }
    show.one_round(await console.create(body), as_json=as_json)


async def _list(console: Console, as_json: Json = False) -> None:
    """List all rounds, the one that opens last first.

    In a pipe: a line for each round, with tabs between id, status, packs left, claimed, in all, opens_at and title.
    """
    answer = await console.rounds()
    show.many_rounds(answer, as_json=as_json)


async def _show(console: Console, round_id: RoundId, as_json: Json = False) -> None:
    """Show one round.

    In a pipe: a line for each field, its name and its value with a tab between them.
    """
    show.one_round(await console.round(round_id), as_json=as_json)


async def _edit(
    console: Console,
    round_id: RoundId,
    reason: _Reason,
    title: Annotated[str | None, typer.Option("--title", help="What people read, in at most 200 characters.")] = None,
    total: Annotated[
        int | None, typer.Option("--total", min=0, max=2**31, help="Packs in all; not under what was claimed.")
    ] = None,
    opens_at: Annotated[str | None, _OpensAt] = None,
    closes_at: Annotated[str | None, typer.Option("--closes-at", metavar="TIME", help="As --opens-at.")] = None,
    pack: _Pack = None,
    eligibility: _Eligibility = None,
    as_json: Json = False,
) -> None:
    """Change a round, also while it is open: the very next claim is decided by it."""
    changes: dict[str, Any] = {"title": title, "total": total}
    for name, text in (("opens_at", opens_at), ("closes_at", closes_at)):
        if text is not None:
            moment_ms = moments.parse_moment(text, await _server_now_ms(console), f"--{name.replace('_', '-')}")
            changes[name] = to_rfc3339(moment_ms)
    given = {name: value for name, value in changes.items() if value is not None}
    given |= _documents(pack=pack, eligibility=eligibility)
    if not given:
        raise WrongUsage("nothing to change: give at least one of the flags that --help lists")
    show.one_round(await console.edit(round_id, {**given, "reason": reason}), as_json=as_json)


async def _pause(console: Console, round_id: RoundId, reason: _Reason, as_json: Json = False) -> None:
    """Pause a round: nobody is granted anything until it is resumed; who holds a claim is still told so."""
    show.one_round(await console.order(round_id, "pause", reason), as_json=as_json)


async def _resume(console: Console, round_id: RoundId, reason: _Reason, as_json: Json = False) -> None:
    """Resume a paused round."""
    show.one_round(await console.order(round_id, "resume", reason), as_json=as_json)


async def _close(
    console: Console,
    round_id: RoundId,
    reason: _Reason,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Close a round, for good: there is no opening it again."""
    if not yes:
        state = await console.round(round_id)
        confirm(f"Close {round_id} ({legible(state['status'])}, {state['remaining']:,} left) for good?")
    show.one_round(await console.order(round_id, "close", reason), as_json=as_json)


async def _server_now_ms(console: Console) -> int:
    """The clock that decides when a round opens, which need not be this machine's."""
    return from_rfc3339((await console.rounds())["server_time"])


def _documents(**texts: str | None) -> dict[str, Any]:
    return {name: read_document(f"--{name}", text) for name, text in texts.items() if text is not None}
