"""`python -m loadtest.drop`: starts claimd in a fresh data directory, sends the crowd, and reports the verdict.

It stops everything that it starts, however it ends. It never imports Locust, whose gevent would patch this process.
"""

import json
import os
import select
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer
from rich.console import Console as Terminal

from loadtest import commandline
from loadtest.client.heads import Variety
from loadtest.client.signing_keys import Algorithm
from loadtest.crowd.pace import describe_pace
from loadtest.crowd.schedule import people_for
from loadtest.drop import display, sizes
from loadtest.drop.errors import DropError
from loadtest.drop.sizes import Visits
from loadtest.drop.verdict import Verdict
from loadtest.target import children, claimd_up

_EXIT_SECONDS: Final = 30.0
# A real crowd is on other machines; here claimd must at least not starve it.
_NICE: Final = ("nice", "-n", "5")

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def drop(
    pool: Annotated[
        int | None, typer.Option(help="Packs to give away.", show_default="1,500,000; 300,000 with whole visits")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            help="When the last pack should be gone; 0: as fast as it goes.", show_default="105; 21 with whole visits"
        ),
    ] = None,
    visits: Annotated[
        Visits,
        typer.Option(help="whole: people gather, load the round, get a pass, claim, look their claim up."),
    ] = Visits.NONE,
    gathering: Annotated[
        float | None,
        typer.Option(help="Seconds over which people gather, with whole visits.", show_default="by pool"),
    ] = None,
    tokens: Annotated[
        Algorithm, typer.Option(help="How the people's bearer tokens are signed, with whole visits.")
    ] = Algorithm.HS256,
    watchers: Annotated[
        int | None,
        typer.Option(min=0, help="People that watch the round's events, with whole visits.", show_default="by pool"),
    ] = None,
    heads: Annotated[
        Variety, typer.Option(help="Request heads: as those of real clients, or all equal.")
    ] = Variety.VARIED,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Gateway processes.", show_default="cores, less one for the crowd")
    ] = None,
    connections: Annotated[
        int | None, typer.Option(min=1, help="Keep-alive connections of the crowd.", show_default="by pool")
    ] = None,
    app_users: Annotated[int | None, typer.Option(min=0, help="App users.", show_default="by pool")] = None,
    generators: Annotated[int, typer.Option(min=1, max=64, help="Locust processes that carry the crowd.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed brings the same crowd.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Folder for the report.", show_default="loadtest/out/TIME")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep claimd's data directory and print its path.")] = False,
) -> None:
    """Give away POOL packs in SECONDS to a crowd that is too large, and check every single answer.

    With `--visits whole` it is the whole evening: people arrive over minutes before the opening, in growing numbers.
    Exit code: **0** passed, **1** failed or could not be run, **2** invalid: the load generator fell behind, so the
    figures mean nothing.
    """
    terminal = commandline.begin()
    try:
        pool = sizes.POOLS[visits] if pool is None else pool
        seconds = sizes.SECONDS[visits] if seconds is None else seconds
        evening = _evening(visits, pool, gathering, watchers, app_users)
        sizes.check_size(pool, seconds, visits, evening.gathering_seconds)
        gateways = workers or max(1, (os.cpu_count() or 1) - 1)
        carriers = connections or sizes.connections_for(pool)
        visitors = 0 if visits is Visits.WHOLE else sizes.app_users_for(pool) if app_users is None else app_users
        commandline.allow_connections(carriers + visitors + evening.watchers)
        folder = (out or commandline.new_folder()).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        terminal.print(
            f"{pool:,} packs to give away {describe_pace(seconds)}: {gateways} gateway workers, {carriers} connections"
        )
        if visits is Visits.WHOLE:
            terminal.print(
                f"{people_for(pool):,} people gather over {evening.gathering_seconds:g} s, "
                f"{evening.watchers} watch, tokens by {tokens}"
            )
        size = [f"--pool={pool}", f"--seconds={seconds}", f"--users={carriers + visitors}", f"--app-users={visitors}"]
        size += [f"--seed={seed}", f"--heads={heads}", f"--visits={visits}", *_distribution(generators)]
        size += [f"--gathering={evening.gathering_seconds}", f"--watchers={evening.watchers}"]
        result = _run(folder, gateways, size, tokens, keep, terminal)
    except (DropError, children.TargetError, commandline.SizeError) as error:
        terminal.print("[bold red]error[/]", error, soft_wrap=True)
        raise typer.Exit(Verdict.FAIL.exit_code) from None
    except KeyboardInterrupt:
        terminal.print("interrupted: everything is stopped, there is no report")
        raise typer.Exit(commandline.INTERRUPTED) from None
    terminal.print(display.summary(result))
    terminal.print(f"\n  report: {_relative(folder / 'report.html')}", soft_wrap=True)
    raise typer.Exit(Verdict(result["verdict"]).exit_code)


class _Evening(NamedTuple):
    """The lengths and numbers of whole visits; both 0 without them."""

    gathering_seconds: float
    watchers: int


def _evening(
    visits: Visits, pool: int, gathering: float | None, watchers: int | None, app_users: int | None
) -> _Evening:
    """Raises SizeError for options that do not go together."""
    if visits is Visits.NONE:
        given = {"--gathering": gathering, "--watchers": watchers}
        if unused := [name for name, value in given.items() if value is not None]:
            raise commandline.SizeError(f"{unused[0]} is for whole visits: add VISITS=whole (--visits whole)")
        return _Evening(0.0, 0)
    if app_users:
        raise commandline.SizeError("--app-users is for a drop without whole visits: with them all people use the app")
    return _Evening(
        sizes.gathering_seconds_for(pool) if gathering is None else gathering,
        sizes.watchers_for(pool) if watchers is None else watchers,
    )


def _run(
    folder: Path, workers: int, size: list[str], tokens: Algorithm, keep: bool, terminal: Terminal
) -> dict[str, Any]:
    """Start claimd, then the crowd; the report that it wrote. Raises DropError, TargetError."""
    claimd_log, locust_log = folder / "claimd.log", folder / "locust.log"
    with ExitStack() as stack:
        home = stack.enter_context(_temporary_folder(keep, terminal))
        claimd = stack.enter_context(claimd_up.running(home, claimd_log, workers, _NICE, algorithm=tokens))
        locust = [
            *(sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--headless", "--only-summary"),
            *(f"--host={claimd.url}", f"--console-url={claimd.console_url}"),
            *(f"--data-dir={claimd.data_dir}", f"--jwks={claimd.signing_jwks}", f"--out={folder}", *size),
        ]
        _bring_the_crowd(locust, locust_log, terminal)
    try:
        result: dict[str, Any] = json.loads((folder / "report.json").read_text())
    except (OSError, ValueError):
        raise DropError(f"the crowd left no report\n{children.tail(locust_log)}\n{children.tail(claimd_log)}") from None
    return result


def _bring_the_crowd(command: list[str], log: Path, terminal: Terminal) -> None:
    """Run Locust to its end and display its progress. Raises DropError."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as news, ExitStack() as stack:
        try:
            command = [*command, f"--progress-fd={writing}"]
            environment = claimd_up.inherited_environment()
            locust = stack.enter_context(
                children.running(command, environment, log, cwd=claimd_up.ROOT, pass_fds=(writing,))
            )
        finally:
            os.close(writing)
        with display.display(terminal) as live:
            for piece in _lines(news.fileno(), locust):
                if piece["phase"] == "failed":
                    raise DropError(piece["error"])
                live.show(piece)
        locust.wait(_EXIT_SECONDS)


def _lines(descriptor: int, child: children.Child) -> Iterator[dict[str, Any]]:
    """JSON lines from a pipe until its other end is closed, or `child` has ended though another process holds it."""
    rest = b""
    while True:
        readable, _, _ = select.select([descriptor], [], [], 1.0)
        if not readable:
            if child.poll() is not None:
                return
            continue
        data = os.read(descriptor, 65536)
        if not data:
            return
        *whole, rest = (rest + data).split(b"\n")
        yield from map(json.loads, whole)


def _distribution(generators: int) -> list[str]:
    """Locust's options for that many processes, and a port of their own to talk over."""
    if generators == 1:
        return []
    (port,) = claimd_up.free_ports(1)
    return [
        f"--processes={generators}",
        "--master-bind-host=127.0.0.1",
        f"--master-bind-port={port}",
        f"--master-port={port}",
    ]


@contextmanager
def _temporary_folder(keep: bool, terminal: Terminal) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="claimd-drop-"))
    try:
        yield folder
    finally:
        if keep:
            terminal.print(f"claimd's data directory is kept: {folder / 'data'}", soft_wrap=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _relative(path: Path) -> Path:
    """The path, relative to the current directory where it is inside."""
    with suppress(ValueError):
        return path.relative_to(Path.cwd())
    return path


if __name__ == "__main__":
    # Typer would exit with 2 for a bad argument, which means an invalid drop here.
    typer.BadParameter.exit_code = Verdict.FAIL.exit_code
    app()
