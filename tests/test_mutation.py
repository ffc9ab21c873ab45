"""Mutants are tried by hand, and rot unseen where the code they break has changed."""

import pytest

from tests.mutation import CHECKOUT, Mutant, load_mutants


@pytest.mark.parametrize("mutant", load_mutants(), ids=lambda mutant: mutant.name)
def test_every_mutant_still_fits(mutant: Mutant) -> None:
    """What it replaces is there, once; and so are the tests that must notice."""
    assert (CHECKOUT / mutant.file).read_text().count(mutant.old) == 1
    assert (CHECKOUT / mutant.tests.partition("::")[0]).exists()
