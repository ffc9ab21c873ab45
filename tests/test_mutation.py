"""The mutants fit the code: they are run by hand, so a change of the code they quote would go unnoticed."""

import pytest

from tests.mutation import CHECKOUT, Mutant, load_mutants


@pytest.mark.parametrize("mutant", load_mutants(), ids=lambda mutant: mutant.name)
def test_every_mutant_still_fits(mutant: Mutant) -> None:
    """The text that a mutant replaces is in its file once, and the tests that must notice it exist."""
    assert (CHECKOUT / mutant.file).read_text().count(mutant.old) == 1
    assert (CHECKOUT / mutant.tests.partition("::")[0]).exists()
