"""Changes that `tests/examples/` must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

MUTANTS = (
    Mutant(
        "an example takes a 503 for an answer",
        "examples/claim.py",
        "if response.status != 429 and response.status < 500:",
        "if True:",
        "tests/examples/test_examples.py::test_it_sends_a_claim_again_until_there_is_an_answer",
    ),
)
