"""`python -m loadtest.history`: measures how long the checker takes for a history without violations.

The history is generated: a round that sells out, requests that are sent again, answers that are lost.
"""

import time
from typing import Annotated, Any, Final

import numpy as np
import typer
from rich.console import Console as Terminal

from claimd.domain.claims import IDENTITY_BYTES
from claimd.domain.log import EditEntry, GrantsEntry, LogEntry
from claimd.domain.times import HOUR_MS
from loadtest.client.answers import HOLDING, Answer, is_one_of
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
# One answer in so many is lost.
_LOST: Final = 20

app = typer.Typer(add_completion=False)


@app.command()
def measure(
    operations: Annotated[int, typer.Option(min=1000, help="Operations in the history.")] = 1_000_000,
    times: Annotated[int, typer.Option(min=1, help="How often the history is checked.")] = 3,
) -> None:
    """Generate a history, check it, and print how long the check takes: from columns to the count of violations."""
    terminal = Terminal(highlight=False)
    export, columns, log = generate(operations)
    took = []
    for _ in range(times):
        began = time.perf_counter()
        counted = check(export, Operations.of_columns(*columns), log=log, clock=ServerClock(_BASE_MS, 1.0))
        took.append(time.perf_counter() - began)
        if not counted.ok or not counted.unknown:
            terminal.print("[bold red]error[/] violations were found in a correct history:", counted.violations())
            raise typer.Exit(1)
    facts = machine.facts()
    terminal.print(f"{operations:,} operations, {len(export):,} claims, {len(log.entries):,} log entries")
    terminal.print(f"{min(took):.2f} s, the shortest of {times}; {max(took):.2f} s the longest")
    terminal.print(f"{facts['cpu']}, {facts['cores']} cores, Python {facts['python']}, commit {machine.commit()}")


def generate(operations: int) -> tuple[Export, tuple[Any, ...], Log]:
    """Return an export, columns for `Operations.of_columns`, and a log, without violations.

    Half of the operations are the first of their claimant, of which four in five are granted.
    """
    rng = np.random.default_rng(1)
    claimants, granted = operations // 2, operations * 2 // 5
    identities = unpack_identities(rng.bytes(IDENTITY_BYTES * claimants))
    sent = np.sort(rng.uniform(0, _SECONDS, claimants))
    claims = np.arange(granted)
    # A batch is decided right after its last request was sent.
    last_of_batch = np.minimum(claims // _BATCH * _BATCH + _BATCH, granted) - 1
    at_ms = _BASE_MS + np.ceil(sent[last_of_batch] * 1000).astype(np.int64)
    answered = np.append((at_ms - _BASE_MS) / 1000 + 0.002, sent[granted:] + 0.01)
    answer = np.where(np.arange(claimants) < granted, Answer.GRANTED, Answer.SOLD_OUT)
    answer[rng.choice(granted, granted // _LOST, replace=False)] = Answer.DROPPED
    # Then claimants drawn at random send a second request, and some of those answers are lost, too.
    retrying = rng.integers(0, claimants, operations - claimants)
    sent_again = rng.uniform(_SECONDS + 1, _SECONDS * 2, len(retrying))
    answer_again = np.where(retrying < granted, Answer.REPLAYED, Answer.SOLD_OUT)
    answer_again[::_LOST] = Answer.UNAVAILABLE
    claimant, all_answers = np.append(np.arange(claimants), retrying), np.append(answer, answer_again)
    with_claim = is_one_of(all_answers, HOLDING)
    columns = (
        np.append(sent, sent_again),
        np.append(answered, sent_again + 0.01),
        identities[claimant],
        all_answers,
        np.where(with_claim, claimant + 1, 0),
        np.where(with_claim, at_ms[np.minimum(claimant, granted - 1)], 0),
    )
    return Export(claims + 1, identities[:granted], at_ms), columns, _log(identities[:granted], at_ms)


def _log(identities: Identities, at_ms: Ints) -> Log:
    window = {"opens_at_ms": str(_BASE_MS), "closes_at_ms": str(_BASE_MS + HOUR_MS)}
    entries: list[LogEntry] = [EditEntry(1, _BASE_MS - 1000, "", {"total": str(len(at_ms)), **window})]
    packed = identities.view(np.uint8).reshape(len(identities), -1)[:, :IDENTITY_BYTES].tobytes()
    for start in range(0, len(at_ms), _BATCH):
        batch = packed[start * IDENTITY_BYTES : (start + _BATCH) * IDENTITY_BYTES]
        entries.append(GrantsEntry(start + 1, int(at_ms[start]), batch))
    return Log(tuple(entries))


if __name__ == "__main__":
    app()
