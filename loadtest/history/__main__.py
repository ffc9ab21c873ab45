"""`python -m loadtest.history`: how long the checker takes for a history of a million operations, all in order.

The history is made up: a round that sells out, people who ask again, answers that are lost.
"""

import time
from typing import Annotated, Any, Final

import numpy as np
import typer
from rich.console import Console

from claimd.domain.log import EditEntry, GrantsEntry, LogEntry
from loadtest.client.answers import Answer
from loadtest.client.credentials import Identities
from loadtest.history.checker import check
from loadtest.history.columns import Ints, unpack_identities
from loadtest.history.export import Export
from loadtest.history.log import Log
from loadtest.history.operations import Operations
from loadtest.target import machine
from loadtest.target.clock import ServerClock

_BASE_MS: Final = 1_585_857_600_000
_SECONDS: Final = 105.0
_BATCH: Final = 100
_LOST: Final = 20

app = typer.Typer(add_completion=False)


@app.command()
def measure(
    operations: Annotated[int, typer.Option(min=1000, help="How many operations the history has.")] = 1_000_000,
    times: Annotated[int, typer.Option(min=1, help="How often it is checked.")] = 3,
) -> None:
    """Make a history up, check it, and say how long that took: from columns to the count of violations."""
    console = Console(highlight=False)
    export, columns, log = make_up(operations)
    took = []
    for _ in range(times):
        began = time.perf_counter()
        counted = check(export, Operations.of_columns(*columns), log=log, clock=ServerClock(_BASE_MS, 1.0))
        took.append(time.perf_counter() - began)
        if not counted.ok or not counted.unknown:
            console.print("[bold red]error[/] a history in order was not found to be so:", counted.violations())
            raise typer.Exit(1)
    facts = machine.facts()
    console.print(f"{operations:,} operations, {len(export):,} claims, {len(log.entries):,} entries of the log")
    console.print(f"{min(took):.2f} s, the shortest of {times}; {max(took):.2f} s the longest")
    console.print(f"{facts['cpu']}, {facts['cores']} cores, Python {facts['python']}, commit {machine.commit()}")


def make_up(operations: int) -> tuple[Export, tuple[Any, ...], Log]:
    """Export, columns for `Operations.of_columns`, log. Half of the operations are people's first; four in five win."""
    rng = np.random.default_rng(1)
    people, granted = operations // 2, operations * 2 // 5
    everyone = unpack_identities(rng.bytes(16 * people))
    first = np.sort(rng.uniform(0, _SECONDS, people))
    claims = np.arange(granted)
    # A batch is decided a moment after the last of it was sent.
    last_of_batch = np.minimum(claims // _BATCH * _BATCH + _BATCH, granted) - 1
    at_ms = _BASE_MS + np.ceil(first[last_of_batch] * 1000).astype(np.int64)
    answered = np.append((at_ms - _BASE_MS) / 1000 + 0.002, first[granted:] + 0.01)
    told = np.where(np.arange(people) < granted, Answer.GRANTED, Answer.SOLD_OUT)
    told[rng.choice(granted, granted // _LOST, replace=False)] = Answer.DROPPED
    # Everybody asks again, at last; but of some that answer is lost, too.
    asker = rng.integers(0, people, operations - people)
    later = rng.uniform(_SECONDS + 1, _SECONDS * 2, len(asker))
    told_later = np.where(asker < granted, Answer.REPLAYED, Answer.SOLD_OUT)
    told_later[::_LOST] = Answer.UNAVAILABLE
    who, all_told = np.append(np.arange(people), asker), np.append(told, told_later)
    held = np.isin(all_told, (Answer.GRANTED, Answer.REPLAYED))
    columns = (
        np.append(first, later),
        np.append(answered, later + 0.01),
        everyone[who],
        all_told,
        np.where(held, who + 1, 0),
        np.where(held, at_ms[np.minimum(who, granted - 1)], 0),
    )
    return Export(claims + 1, everyone[:granted], at_ms), columns, _log(everyone[:granted], at_ms)


def _log(identities: Identities, at_ms: Ints) -> Log:
    window = {"opens_at_ms": str(_BASE_MS), "closes_at_ms": str(_BASE_MS + 3_600_000)}
    entries: list[LogEntry] = [EditEntry(1, _BASE_MS - 1000, "", {"total": str(len(at_ms)), **window})]
    packed = identities.view(np.uint8).reshape(len(identities), -1)[:, :16].tobytes()
    for start in range(0, len(at_ms), _BATCH):
        batch = packed[start * 16 : (start + _BATCH) * 16]
        entries.append(GrantsEntry(start + 1, int(at_ms[start]), batch))
    return Log(tuple(entries))


if __name__ == "__main__":
    app()
