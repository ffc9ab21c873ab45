"""Changes that `tests/supervisor/` must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

MUTANTS = (
    Mutant(
        "a worker that hangs keeps its share",
        "claimd/supervisor/shared_port.py",
        "if 0 < len(self._answering) < len(self._listeners):",
        "if False:",
        "tests/supervisor/test_shared_port.py",
    ),
    Mutant(
        "silence that nobody could hear",
        "claimd/supervisor/watch.py",
        "self._silent += min(seconds, 2 * _TICK_SECONDS)",
        "self._silent += seconds",
        "tests/supervisor/test_watch.py",
    ),
    Mutant(
        "a repeated SIGTERM kills",
        "claimd/supervisor/signals.py",
        "elif number is signal.SIGINT and ",
        "elif ",
        "tests/supervisor/test_signals.py",
    ),
)
