"""Changes that `tests/loadtest/` must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

MUTANTS = (
    Mutant(
        "checker blind to real time",
        "loadtest/history/sequence.py",
        "reached > told_by + skew",
        "reached > told_by + 1e9",
        "tests/loadtest/test_history.py",
    ),
    Mutant(
        "checker knows no doubt",
        "loadtest/history/rules.py",
        "(owners >= 0) & people.in_doubt[owners]",
        "False",
        "tests/loadtest/test_history_model.py",
    ),
    Mutant(
        "checker forgets a raise",
        "loadtest/history/timeline.py",
        "self.total_rose |= self.total is not None and total > self.total",
        "pass",
        "tests/loadtest/test_history_model.py",
    ),
    Mutant(
        "checker reads no log",
        "loadtest/history/consistency.py",
        "count(~there) + count(~alike)",
        "0",
        "tests/loadtest/test_history.py",
    ),
)
