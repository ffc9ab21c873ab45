"""`python -m loadtest.tokens`: each contender accepts valid tokens and rejects changed ones."""

import re

import pytest
from typer.testing import CliRunner

from loadtest.tokens.__main__ import app
from loadtest.tokens.contenders import CONTENDERS
from loadtest.tokens.signer import ALGORITHMS, Signer


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", CONTENDERS)
def test_a_contender_verifies(name: str, algorithm: str) -> None:
    """A valid token is accepted, one whose signature is another token's is not."""
    signer = Signer(algorithm)
    verify = CONTENDERS[name](signer)
    good, other = signer.token("ada"), signer.token("bob")
    assert verify(good)
    with pytest.raises(Exception):  # noqa: B017, PT011 - each library raises an error of its own
        verify(good.rpartition(".")[0] + "." + other.rpartition(".")[2])


def test_the_command_prints_a_figure_for_each() -> None:
    """A row for each contender and for a token seen before, a column for each algorithm."""
    printed = CliRunner().invoke(app, ["--rounds", "1", "--count", "2"])
    assert printed.exit_code == 0
    for name in (*CONTENDERS, "claimd, seen before"):
        (row,) = [line for line in printed.output.splitlines() if re.search(rf"^│ {name} +│", line)]
        assert len(re.findall(r"\d+\.\d", row)) == len(ALGORITHMS)
