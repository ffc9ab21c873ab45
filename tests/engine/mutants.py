"""Changes that `tests/engine/` must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

MUTANTS = (
    Mutant(
        "lookups counted as claims",
        "claimd/engine/engine.py",
        "                self._lookup_tally,\n",
        "                ClaimTally(self._counts, round_id),\n",
        "tests/engine/test_lookups.py",
    ),
    Mutant(
        "deadline not checked",
        "claimd/engine/batcher.py",
        "while waiting and waiting[0][_SINCE] <= too_old:",
        "while waiting and waiting[0][_SINCE] < 0 * too_old:",
        "tests/engine",
    ),
    Mutant(
        "answers in the wrong order",
        "claimd/engine/batcher.py",
        "in zip(claims, decisions, strict=True)",
        "in zip(claims, decisions[::-1], strict=True)",
        "tests/engine",
    ),
    Mutant("bounded queue", "claimd/engine/batcher.py", "if ahead >= limits.max_waiting or (", "if (", "tests/engine"),
    Mutant(
        "every claim admitted, whatever the wait",
        "claimd/engine/batcher.py",
        "self._expected_wait.seconds(ahead, now) > limits.max_wait_seconds",
        "False",
        "tests/engine",
    ),
    Mutant(
        "no claim admitted to probe the server",
        "claimd/engine/batcher.py",
        "ahead and self._expected_wait.",
        "self._expected_wait.",
        "tests/engine",
    ),
    Mutant(
        "an average believed while a call hangs",
        "claimd/engine/expected_wait.py",
        "call_seconds = now - self._stalled_since",
        "call_seconds = 0.0",
        "tests/engine",
    ),
    Mutant(
        "a hanging call stops the rest",
        "claimd/engine/batcher.py",
        " or bool(self._hanging)",
        "",
        "tests/engine",
    ),
    Mutant(
        "one hanging call rejects new claims",
        "claimd/engine/expected_wait.py",
        "max(self._begun.values()) if all_busy else inf",
        "min(self._begun.values(), default=inf)",
        "tests/engine",
    ),
    Mutant(
        "a lost batch given up at once",
        "claimd/engine/batcher.py",
        "while attempts.claims and not await self._try_once(attempts):",
        "if attempts.claims and not await self._try_once(attempts):",
        "tests/engine",
    ),
    Mutant(
        "sent again past the deadline",
        "claimd/engine/batcher.py",
        "if claim[_SINCE] <= too_old]",
        "if claim[_SINCE] <= 0 * too_old]",
        "tests/engine",
    ),
    Mutant(
        "a refusal reported that may be a grant",
        "claimd/engine/batcher.py",
        "self.outcome_unknown |= not (self._changes_nothing or isinstance(error, StoreRejected))",
        "pass",
        "tests/engine",
    ),
    Mutant(
        "a call for every few claims",
        "claimd/engine/batcher.py",
        "return waiting >= MAX_BATCH or ",
        "return waiting > 0 or ",
        "tests/engine",
    ),
    Mutant(
        "a batch that is expected for ever",
        "claimd/engine/batcher.py",
        "self._expected_wait.end(number)",
        "pass",
        "tests/engine",
    ),
)
