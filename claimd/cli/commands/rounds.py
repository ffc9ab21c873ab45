"""`claimd round …`: creating, reading and changing rounds."""

from typing import Annotated, Any

import typer

from claimd.cli.arguments import moments
from claimd.cli.arguments.documents import read_document
from claimd.cli.arguments.options import IfVersion, Json, Reason, Yes
from claimd.cli.arguments.totals import parse_total
from claimd.cli.commands import round_archive, round_log, round_removal
from claimd.cli.console_client import ConsoleClient
from claimd.cli.console_command import RoundId, console_command
from claimd.cli.terminal import show
from claimd.cli.terminal.confirm import confirm
from claimd.cli.terminal.notes import note_what_follows, warn_open_at_once
from claimd.cli.terminal.printable import printable
from claimd.domain.rounds import Status
from claimd.domain.times import from_rfc3339, to_rfc3339
from claimd.errors import WrongUsage

_DAY_MS = 86_400_000

_OpensAt = typer.Option("--opens-at", metavar="TIME", help=moments.HELP, show_default=False)
_ClosesAt = typer.Option("--closes-at", metavar="TIME", help=moments.CLOSING_HELP, show_default="24 h after opening")
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
    """Register the commands of `claimd round` on the app."""
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
    round_log.register(group)
    round_removal.register(group)
    round_archive.register(group)
    app.add_typer(group, name="round")


async def _create(
    console: ConsoleClient,
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
        moments.parse_closing(closes_at, now_ms, opens_at_ms)
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
    state = await console.create(body)
    show.one_round(state, as_json=as_json)
    warn_open_at_once(state)


async def _list(
    console: ConsoleClient,
    status: Annotated[Status | None, typer.Option("--status", help="Only those of this status.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    as_json: Json = False,
) -> None:
    """List the rounds that are not over, the one that opens last first.

    In a pipe: a line for each round, with tabs between id, status, packs left, claimed, in all, opens_at and title.
    """
    if status is not None and every:
        raise WrongUsage("--status and --all exclude each other")
    answer = await console.rounds("all" if every else status)
    show.many_rounds(answer, as_json=as_json)


async def _show(console: ConsoleClient, round_id: RoundId, as_json: Json = False) -> None:
    """Show one round.

    In a pipe: a line for each field, its name and its value with a tab between them.
    """
    show.one_round(await console.round(round_id), as_json=as_json)


async def _edit(
    console: ConsoleClient,
    round_id: RoundId,
    reason: Reason,
    title: Annotated[str | None, typer.Option("--title", help="What people read, in at most 200 characters.")] = None,
    total: Annotated[
        str | None,
        typer.Option(
            "--total", metavar="TOTAL", help="Packs in all, or +100, -100 to change it; not under what was claimed."
        ),
    ] = None,
    opens_at: Annotated[str | None, _OpensAt] = None,
    closes_at: Annotated[str | None, typer.Option("--closes-at", metavar="TIME", help=moments.CLOSING_HELP)] = None,
    pack: _Pack = None,
    eligibility: _Eligibility = None,
    if_version: IfVersion = None,
    as_json: Json = False,
) -> None:
    """Change a round, also while it is open: the very next claim is decided by it.

    An edit of the eligibility outdates the passes that were issued before; claims that are held stay.
    """
    given: dict[str, Any] = {} if title is None else {"title": title}
    given |= {} if total is None else parse_total(total)
    given |= await _window(console, round_id, opens_at, closes_at)
    given |= _documents(pack=pack, eligibility=eligibility)
    if not given:
        raise WrongUsage("nothing to change: give at least one of the flags that --help lists")
    _done(await console.edit(round_id, {**given, "reason": reason}, if_version), as_json=as_json)


async def _window(console: ConsoleClient, round_id: str, opens_at: str | None, closes_at: str | None) -> dict[str, str]:
    """The instants that were given, by the server's clock and the opening that will hold."""
    if opens_at is None and closes_at is None:
        return {}
    state = await console.round(round_id)
    now_ms, opens_at_ms = from_rfc3339(state["server_time"]), from_rfc3339(state["opens_at"])
    window = {}
    if opens_at is not None:
        opens_at_ms = moments.parse_moment(opens_at, now_ms, "--opens-at")
        window["opens_at"] = to_rfc3339(opens_at_ms)
    if closes_at is not None:
        window["closes_at"] = to_rfc3339(moments.parse_closing(closes_at, now_ms, opens_at_ms))
    return window


def _done(state: dict[str, Any], *, as_json: bool) -> None:
    show.one_round(state, as_json=as_json)
    note_what_follows(state)


async def _pause(
    console: ConsoleClient, round_id: RoundId, reason: Reason, if_version: IfVersion = None, as_json: Json = False
) -> None:
    """Pause a round: claims are refused until it is resumed; a claim that is held is still answered."""
    _done(await console.command_round(round_id, action="pause", reason=reason, if_version=if_version), as_json=as_json)


async def _resume(
    console: ConsoleClient, round_id: RoundId, reason: Reason, if_version: IfVersion = None, as_json: Json = False
) -> None:
    """Resume a paused round: claims are decided again."""
    _done(await console.command_round(round_id, action="resume", reason=reason, if_version=if_version), as_json=as_json)


async def _close(
    console: ConsoleClient,
    round_id: RoundId,
    reason: Reason,
    yes: Yes = False,
    if_version: IfVersion = None,
    as_json: Json = False,
) -> None:
    """Close a round, for good: there is no opening it again."""
    if not yes:
        state = await console.round(round_id)
        confirm(f"Close {round_id} ({printable(state['status'])}, {state['remaining']:,} left) for good?")
        # What was read is what was agreed to.
        if_version = if_version or state.get("version")
    show.one_round(
        await console.command_round(round_id, action="close", reason=reason, if_version=if_version), as_json=as_json
    )


async def _server_now_ms(console: ConsoleClient) -> int:
    return from_rfc3339(await console.server_time())


def _documents(**texts: str | None) -> dict[str, Any]:
    return {name: read_document(f"--{name}", text) for name, text in texts.items() if text is not None}
