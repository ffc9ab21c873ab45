"""`python -m loadtest.client.minting`: mints bearer tokens in a process beside the load generator.

A signature by RS256 takes more than half a millisecond: a generator that signed by itself would be late. Tokens are
minted before the first person comes, by a process for each core; `mint_tokens` starts them and returns all tokens.
"""

import os
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import IO, Annotated, Final, Protocol

import typer

from loadtest.client.credentials import TokenIssuer, subject

_ROOT: Final = Path(__file__).resolve().parents[2]
# A process for fewer tokens costs more than it saves.
_FEWEST_EACH: Final = 2_000


class MintingError(Exception):
    """The process that mints failed; the message gives its reason."""


class Issuer(Protocol):
    """The settings of an identity provider, by the names of the harness's options."""

    @property
    def jwks(self) -> str:
        """The path of the JWKS that signs."""

    @property
    def jwt_issuer(self) -> str:
        """The tokens' `iss`, or nothing."""

    @property
    def jwt_audience(self) -> str:
        """The tokens' `aud`, or nothing."""

    @property
    def jwt_identity(self) -> str:
        """The claim that names the person."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of persons `first`, `first + step` …, packed; `seconds` is how long it took to mint them."""

    packed: bytes
    starts: "array[int]"
    seconds: float

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, slot: int) -> bytes:
        """The token of the slot-th person."""
        return self.packed[self.starts[slot] : self.starts[slot + 1]]


def mint_tokens(issuer: Issuer, seed: int, persons: range) -> Tokens:
    """Mint the tokens of `persons` in processes of their own, and return when all are there. Raises MintingError."""
    began = perf_counter()
    processes = max(1, min(os.cpu_count() or 1, len(persons) // _FEWEST_EACH))
    each = -(-len(persons) // processes) if len(persons) else 1
    parts = [persons[at : at + each] for at in range(0, len(persons), each)]
    packed, starts = bytearray(), array("q", [0])
    with ExitStack() as stack:
        # Files, as a pipe that is not read yet would stop its process.
        outputs = [stack.enter_context(tempfile.TemporaryFile()) for _ in parts]
        running = [_start(issuer, seed, part, output) for part, output in zip(parts, outputs, strict=True)]
        for process, output in zip(running, outputs, strict=True):
            _, error = process.communicate()
            if process.returncode:
                raise MintingError(f"tokens could not be minted: {error.decode(errors='replace').strip()}")
            output.seek(0)
            for token in output.read().split():
                packed += token
                starts.append(len(packed))
    return Tokens(bytes(packed), starts, perf_counter() - began)


def _start(issuer: Issuer, seed: int, persons: range, output: IO[bytes]) -> "subprocess.Popen[bytes]":
    command = [
        *(sys.executable, "-m", "loadtest.client.minting", f"--jwks={issuer.jwks}", f"--seed={seed}"),
        *(f"--first={persons.start}", f"--step={persons.step}", f"--count={len(persons)}"),
        *(f"--issuer={issuer.jwt_issuer}", f"--audience={issuer.jwt_audience}", f"--identity={issuer.jwt_identity}"),
    ]
    return subprocess.Popen(command, cwd=_ROOT, stdout=output, stderr=subprocess.PIPE)


def mint_lines(sign: Callable[[str], str], seed: int, persons: Sequence[int]) -> str:
    """A line with a token for each of `persons`."""
    return "".join(f"{sign(subject(seed, person))}\n" for person in persons)


app = typer.Typer(add_completion=False)


@app.command()
def mint(
    jwks: Annotated[Path, typer.Option(help="JWKS with a key that signs.")],
    seed: Annotated[int, typer.Option(help="The seed of the people.")] = 1,
    first: Annotated[int, typer.Option(help="Number of the first person.")] = 0,
    step: Annotated[int, typer.Option(min=1, help="From one person to the next.")] = 1,
    count: Annotated[int, typer.Option(min=0, help="How many tokens.")] = 1,
    issuer: Annotated[str, typer.Option(help="The tokens' iss.")] = "",
    audience: Annotated[str, typer.Option(help="The tokens' aud.")] = "",
    identity: Annotated[str, typer.Option(help="The claim that names the person.")] = "sub",
) -> None:
    """Print a token a line."""
    try:
        sign = TokenIssuer(jwks, issuer, audience, identity).token
    except (OSError, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    sys.stdout.write(mint_lines(sign, seed, range(first, first + step * count, step)))


if __name__ == "__main__":
    app()
