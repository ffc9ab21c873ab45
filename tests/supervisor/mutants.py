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
        "silence while the supervisor itself stood still",
        "claimd/supervisor/watch.py",
        "self._silent_seconds += min(seconds, 2 * _TICK_SECONDS)",
        "self._silent_seconds += seconds",
        "tests/supervisor/test_watch.py",
    ),
    Mutant(
        "a repeated SIGTERM kills",
        "claimd/supervisor/signals.py",
        "elif number is signal.SIGINT and ",
        "elif ",
        "tests/supervisor/test_signals.py",
    ),
    Mutant(
        "every child gets every setting",
        "claimd/supervisor/child_environment.py",
        "for name in SETTINGS_OF[role]:",
        "for name in type(settings).model_fields:",
        "tests/supervisor/test_child_environment.py",
    ),
    Mutant(
        "the console gets the secret",
        "claimd/supervisor/child_environment.py",
        '"console": frozenset({"redis_url",',
        '"console": frozenset({"secret", "redis_url",',
        "tests/supervisor/test_child_environment.py",
    ),
    Mutant(
        "unknown variables are handed down",
        "claimd/supervisor/child_environment.py",
        "if not name.upper().startswith(PREFIX)}",
        "if name.removeprefix(PREFIX).lower() not in Settings.model_fields}",
        "tests/supervisor/test_child_environment.py",
    ),
)
