"""`claimd export`: every claim of a round as NDJSON. A half export must never be taken for a whole one."""

import asyncio
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.console import Console as Terminal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from claimd.audit.archive_file import ArchiveFile
from claimd.audit.export import export_lines
from claimd.cli.arguments.archive_file import or_archive
from claimd.cli.console_client import ConsoleClient
from claimd.cli.console_command import RoundId, console_command
from claimd.cli.terminal.printable import printable
from claimd.errors import CommandError


def register(app: typer.Typer) -> None:
    """Register the command `export` on the app."""
    app.command("export", epilog="Example: [bold]claimd export r5 --output r5.ndjson[/]")(
        or_archive(console_command(_export), _export_file)
    )


async def _export(
    console: ConsoleClient,
    round_id: RoundId,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write this file, which is there only when it is whole.",
            show_default="standard output",
        ),
    ] = None,
    as_json: Annotated[  # noqa: ARG001 - every command that prints data takes it
        bool, typer.Option("--json", help="One JSON object a line: what it prints anyway.")
    ] = False,
) -> None:
    """Print every claim: serial, id, identity (a keyed digest, no name), claimed_at; in the order of the serials.

    NDJSON: one JSON object a line. Exit code 1 where it is not the whole. The path of an archive, in the place of the
    id, needs no server.
    """
    issued = (await console.round(round_id))["issued"]
    with (
        _opened_output(output) as file,
        _progress(issued, visible=output is not None or not sys.stdout.isatty()) as advance,
    ):
        lines = 0
        async for piece in console.export(round_id):
            file.write(piece)
            lines += piece.count(b"\n")
            advance(lines)
    if output is not None:
        typer.echo(printable(f"{lines:,} claims in {output}"), err=True)


def _export_file(path: Path, *, output: Path | None = None, **_: Any) -> None:
    """Print the claims of an archive. Raises ArchiveError, before anything was printed."""
    archive = ArchiveFile.open(path)

    async def export() -> int:
        # To its end first: a part of it must never be taken for the whole.
        async for _ in archive.claims(archive.item.id):
            pass
        lines = 0
        with _opened_output(output) as file:
            async for piece in export_lines(archive, archive.item.id):
                file.write(piece)
                lines += piece.count(b"\n")
        return lines

    lines = asyncio.run(export())
    if output is not None:
        typer.echo(printable(f"{lines:,} claims in {output}"), err=True)


@contextmanager
def _opened_output(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with _whole_file(output) if _may_be_replaced(output) else output.open("wb") as file:
            yield file
    except OSError as error:
        raise CommandError(f"{output} cannot be written: {error.strerror}") from None


def _may_be_replaced(output: Path) -> bool:
    """Whether it is missing or an ordinary file. A device or a pipe is written as it is: a rename would remove it."""
    try:
        mode = output.stat().st_mode
    except FileNotFoundError:
        return True
    return stat.S_ISREG(mode)


@contextmanager
def _whole_file(output: Path) -> Iterator[BinaryIO]:
    part = output.with_name(output.name + ".part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _progress(total: int, *, visible: bool) -> Iterator[Callable[[int], None]]:
    terminal = Terminal(stderr=True)
    columns = (TextColumn("exporting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=terminal, transient=True, disable=not (visible and terminal.is_terminal)
    ) as progress:
        task = progress.add_task("export", total=total)
        yield lambda lines: progress.update(task, completed=lines)
