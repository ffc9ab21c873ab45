"""`python -m loadtest.tokens`: CPU time to verify one bearer token, by claimd and by libraries, side by side."""

import statistics
import time
import warnings
from typing import Annotated

import typer
from joserfc.errors import SecurityWarning
from rich.table import Table

from loadtest import commandline
from loadtest.tokens.contenders import CONTENDERS, Verify, claimd
from loadtest.tokens.signer import ALGORITHMS, Signer

_SEEN = "claimd, seen before"

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def tokens(
    rounds: Annotated[int, typer.Option(min=1, max=1_000, help="How often each is measured.")] = 15,
    count: Annotated[int, typer.Option(min=1, max=5_000, help="Different tokens in each measurement.")] = 300,
) -> None:
    """Microseconds of CPU (by the system) for one valid token: medians of ROUNDS measurements, which take turns.

    `bare signature` checks the signature and parses the payload, nothing else: the floor. `claimd` sees each token
    for the first time, `claimd, seen before` for the second. Leave the machine idle meanwhile.
    """
    terminal = commandline.begin()
    # joserfc warns of the name EdDSA, which RFC 9864 replaces by Ed25519.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    table = Table("µs of CPU", *ALGORITHMS)
    columns = {algorithm: _measured(Signer(algorithm), rounds, count) for algorithm in ALGORITHMS}
    for name in (*CONTENDERS, _SEEN):
        table.add_row(name, *(f"{columns[algorithm][name]:.1f}" for algorithm in ALGORITHMS))
    terminal.print(table)


def _measured(signer: Signer, rounds: int, count: int) -> dict[str, float]:
    """The median of each contender, in microseconds a token."""
    texts = [signer.token(f"person-{number}") for number in range(count)]
    found: dict[str, list[float]] = {name: [] for name in (*CONTENDERS, _SEEN)}
    # The first turn warms up and is not counted.
    for turn in range(rounds + 1):
        for name, contender in CONTENDERS.items():
            # Each has its state anew, as claimd remembers what it has seen.
            verify = contender(signer)
            micros = _time(verify, texts)
            if turn:
                found[name].append(micros)
            if contender is claimd:
                again = _time(verify, texts)
                if turn:
                    found[_SEEN].append(again)
    return {name: statistics.median(values) for name, values in found.items()}


def _time(verify: Verify, texts: list[str]) -> float:
    began = time.process_time_ns()
    for text in texts:
        verify(text)
    return (time.process_time_ns() - began) / 1000 / len(texts)


if __name__ == "__main__":
    app()
