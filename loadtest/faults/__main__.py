"""`python -m loadtest.faults`: breaks a running claimd in every way, and says what became of the promises.

Everything it starts, it stops, however it ends.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from loadtest import commandline
from loadtest.faults.catalogue import SCENARIOS, Scenario
from loadtest.faults.claimants import StuckError
from loadtest.faults.scenario import Verdict
from loadtest.faults.storage import SkippedError
from loadtest.target import children, claimd_up
from loadtest.target.console_client import ApiError

_OUT: Final = claimd_up.ROOT / "loadtest" / "out" / "faults.json"

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def faults(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these; --list names all.")
    ] = None,
    times: Annotated[
        int | None, typer.Option(min=1, help="How often each is tried, instead of its own number.")
    ] = None,
    short: Annotated[bool, typer.Option("--short", help="As often as in the tests.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="Say what there is, and do nothing.")] = False,
) -> None:
    """Break claimd in every way, while people claim, and have the history checker judge what they were told.

    Each scenario starts a claimd of its own as a user would, with 40 people who claim without a pause and operators who
    keep changing the stock. In the end whoever is in doubt asks again, and all answers are held against the export, the
    log and the audit. Exit code: **0** every promise was kept, **1** one was broken, **2** one could not be tried.
    """
    console = commandline.begin()
    chosen = _chosen(names or [])
    if listing:
        for scenario in chosen:
            console.print(f"{scenario.name:16} {scenario.what} ({scenario.times} times)")
        return
    outcomes: dict[str, Verdict | str] = {}
    try:
        with Progress(console=console, transient=True) as progress:
            for scenario in chosen:
                count = times or (scenario.short if short else scenario.times)
                task = progress.add_task(scenario.name, total=count)
                outcomes[scenario.name] = outcome = _try(scenario, count, progress, task)
                progress.remove_task(task)
                console.print(_line(scenario, outcome), soft_wrap=True)
    except KeyboardInterrupt:
        console.print("interrupted: everything is stopped")
        raise typer.Exit(commandline.INTERRUPTED) from None
    _show(chosen, outcomes, console)
    _keep(outcomes)
    raise typer.Exit(_exit_code(outcomes.values()))


def _chosen(names: list[str]) -> list[Scenario]:
    known = {scenario.name: scenario for scenario in SCENARIOS}
    for name in names:
        if name not in known:
            raise typer.BadParameter(f"there is no {name!r}; there are {', '.join(known)}")
    return [known[name] for name in names] or list(SCENARIOS)


def _try(scenario: Scenario, times: int, progress: Progress, task: TaskID) -> Verdict | str:
    """The verdict, or why there is none."""
    with tempfile.TemporaryDirectory(prefix="claimd-faults-") as folder:
        home = Path(folder)
        try:
            return scenario.run(home, times, lambda tried: progress.update(task, completed=tried))
        except SkippedError as error:
            return f"skipped: {error}"
        except (ApiError, StuckError, children.TargetError, OSError) as error:
            return f"failed: {type(error).__name__}: {error}\n{children.tail(home / 'claimd.log')}"


def _line(scenario: Scenario, outcome: Verdict | str) -> str:
    if isinstance(outcome, str):
        return f"[yellow]{scenario.name}[/] {outcome}"
    if outcome.violations:
        return f"[bold red]{scenario.name}[/] broken: {outcome.violations} (told: {outcome.told})"
    return f"[green]{scenario.name}[/] kept, {outcome.tried} times (told: {outcome.told})"


def _show(chosen: Iterable[Scenario], outcomes: dict[str, Verdict | str], console: Console) -> None:
    table = Table(title="what was tried", title_justify="left")
    for name in ("fault", "what", "times", "requests", "granted", "unknown", "back after", "worst", "violations"):
        table.add_column(name, justify="left" if name in ("fault", "what") else "right")
    for scenario in chosen:
        outcome = outcomes[scenario.name]
        if isinstance(outcome, str):
            table.add_row(scenario.name, scenario.what, *[""] * 6, outcome.partition(":")[0])
            continue
        back = outcome.recoveries or [0.0]
        table.add_row(
            scenario.name,
            scenario.what,
            *(f"{number:,}" for number in (outcome.tried, outcome.operations, outcome.granted, outcome.unknown)),
            f"{statistics.median(back) * 1000:,.0f} ms",
            f"{max(back) * 1000:,.0f} ms",
            str(len(outcome.violations)),
        )
    console.print(table)


def _keep(outcomes: dict[str, Verdict | str]) -> None:
    _OUT.parent.mkdir(parents=True, exist_ok=True)
    kept = {name: outcome if isinstance(outcome, str) else asdict(outcome) for name, outcome in outcomes.items()}
    _OUT.write_text(json.dumps({"at": time.time(), "faults": kept}, indent=2) + "\n")


def _exit_code(outcomes: Iterable[Verdict | str]) -> int:
    worst = 0
    for outcome in outcomes:
        if isinstance(outcome, str):
            worst = max(worst, 2 if outcome.startswith("skipped") and worst != 1 else 0)
            if outcome.startswith("failed"):
                return 1
        elif outcome.violations:
            return 1
    return worst


if __name__ == "__main__":
    sys.exit(app())
