"""`python -m loadtest.faults`: injects every fault into a running claimd, and prints a verdict for each.

Every process it starts is stopped, however it ends.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.progress import Progress, TaskID
from rich.table import Table

from loadtest import commandline
from loadtest.commandline import OUT
from loadtest.faults.catalogue import FAULTS, Fault
from loadtest.faults.claimants import StuckError
from loadtest.faults.environment import SkippedError
from loadtest.faults.verdict import Verdict
from loadtest.target import children
from loadtest.target.console_client import ApiError

_OUT_FILE: Final = OUT / "faults.json"

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


class Ending(StrEnum):
    """How the run of a fault ended."""

    KEPT = "kept"
    BROKEN = "broken"
    SKIPPED = "skipped"
    FAILED = "failed"


# By severity: a run exits with the first of these that one of its faults ended with.
_EXIT_CODES: Final = {Ending.BROKEN: 1, Ending.FAILED: 1, Ending.SKIPPED: 2, Ending.KEPT: 0}


@dataclass(frozen=True, slots=True)
class _Result:
    """A verdict, or the `reason` why there is none."""

    ending: Ending
    verdict: Verdict | None = None
    reason: str = ""

    def as_json(self) -> dict[str, Any] | str:
        """Return the result as `faults.json` has it."""
        return f"{self.ending}: {self.reason}" if self.verdict is None else self.verdict.as_dict()


@app.command()
def faults(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="The faults to inject; all without names.")
    ] = None,
    times: Annotated[
        int | None, typer.Option(min=1, help="Injections of each fault.", show_default="by fault, see --list")
    ] = None,
    short: Annotated[bool, typer.Option("--short", help="As few injections as in the tests.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="List the faults and exit.")] = False,
) -> None:
    """Inject faults into a running claimd under load, and check every answer that its clients received.

    Each fault gets a claimd of its own, started as a user would, with 40 connections that claim without a pause and
    operators that keep changing the stock. At the end requests with an unknown outcome are repeated, and all answers
    are compared with the export, the log and the audit. The verdicts are written to `loadtest/out/faults.json`.

    Exit code: **0** every promise was kept, **1** one was broken or a run failed, **2** a fault is not possible on this
    machine.
    """
    terminal = commandline.begin()
    chosen = _chosen(names or [])
    if listing:
        for fault in chosen:
            terminal.print(f"{fault.name:16} {fault.what} ({fault.times} times)")
        return
    results: dict[str, _Result] = {}
    try:
        with Progress(console=terminal, transient=True) as progress:
            for fault in chosen:
                count = times or (fault.short if short else fault.times)
                task = progress.add_task(fault.name, total=count)
                results[fault.name] = result = _run(fault, count, progress, task)
                progress.remove_task(task)
                terminal.print(_line(fault, result), soft_wrap=True)
    except KeyboardInterrupt:
        terminal.print("interrupted: everything is stopped")
        raise typer.Exit(commandline.INTERRUPTED) from None
    terminal.print(_table(chosen, results))
    _write(results)
    raise typer.Exit(_exit_code(result.ending for result in results.values()))


def _chosen(names: list[str]) -> list[Fault]:
    known = {fault.name: fault for fault in FAULTS}
    for name in names:
        if name not in known:
            raise typer.BadParameter(f"unknown fault {name!r}; the faults are {', '.join(known)}")
    return [known[name] for name in names] or list(FAULTS)


def _run(fault: Fault, times: int, progress: Progress, task: TaskID) -> _Result:
    with tempfile.TemporaryDirectory(prefix="claimd-faults-") as folder:
        home = Path(folder)
        try:
            verdict = fault.run(home, times, lambda injections: progress.update(task, completed=injections))
        except SkippedError as error:
            return _Result(Ending.SKIPPED, reason=str(error))
        except (ApiError, StuckError, children.TargetError, OSError) as error:
            reason = f"{type(error).__name__}: {error}\n{children.tail(home / 'claimd.log')}"
            return _Result(Ending.FAILED, reason=reason)
    return _Result(Ending.BROKEN if verdict.violations else Ending.KEPT, verdict)


def _line(fault: Fault, result: _Result) -> str:
    verdict = result.verdict
    if verdict is None:
        return f"[yellow]{fault.name}[/] {result.ending}: {result.reason}"
    if verdict.violations:
        return f"[bold red]{fault.name}[/] {result.ending}: {verdict.violations} (answers: {verdict.answers})"
    return f"[green]{fault.name}[/] {result.ending}, {verdict.tried} times (answers: {verdict.answers})"


def _table(chosen: Iterable[Fault], results: dict[str, _Result]) -> Table:
    table = Table(title="faults injected", title_justify="left")
    for name in ("fault", "what", "times", "requests", "granted", "unknown", "back after", "worst", "violations"):
        table.add_column(name, justify="left" if name in ("fault", "what") else "right")
    for fault in chosen:
        result = results[fault.name]
        verdict = result.verdict
        if verdict is None:
            table.add_row(fault.name, fault.what, *[""] * 6, result.ending)
            continue
        recoveries = verdict.recoveries or [0.0]
        table.add_row(
            fault.name,
            fault.what,
            *(f"{number:,}" for number in (verdict.tried, verdict.operations, verdict.granted, verdict.unknown)),
            f"{statistics.median(recoveries) * 1000:,.0f} ms",
            f"{max(recoveries) * 1000:,.0f} ms",
            str(len(verdict.violations)),
        )
    return table


def _write(results: dict[str, _Result]) -> None:
    _OUT_FILE.parent.mkdir(parents=True, exist_ok=True)
    written = {name: result.as_json() for name, result in results.items()}
    _OUT_FILE.write_text(json.dumps({"at": time.time(), "faults": written}, indent=2) + "\n")


def _exit_code(endings: Iterable[Ending]) -> int:
    seen = set(endings)
    return next(code for ending, code in _EXIT_CODES.items() if ending in seen)


if __name__ == "__main__":
    sys.exit(app())
