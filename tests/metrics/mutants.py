"""Changes that `tests/metrics/` must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

MUTANTS = (
    Mutant(
        "a cancelled report goes on",
        "claimd/metrics/reporter.py",
        "if task is not None and task.cancelling():",
        "if False:",
        "tests/metrics/test_reporter.py",
    ),
    Mutant(
        "a cancelled merging goes on",
        "claimd/metrics/merging.py",
        "if task is not None and task.cancelling():",
        "if False:",
        "tests/metrics/test_merging.py",
    ),
    Mutant(
        "an idle gateway writes each second",
        "claimd/metrics/reporter.py",
        "and self._quiet < QUIET_REPORTS:",
        "and self._quiet < 1:",
        "tests/metrics/test_reporter.py",
    ),
    Mutant(
        "a report fails silently",
        "claimd/metrics/reporter.py",
        "self._trouble.failed(error, unexpected=not isinstance(error, StoreError | TimeoutError))",
        "pass",
        "tests/metrics/test_reporter.py",
    ),
    Mutant(
        "a save in doubt forgotten",
        "claimd/metrics/reporter.py",
        "if has_arrived:",
        "if False:",
        "tests/metrics/test_reporter.py",
    ),
    Mutant(
        "a save in doubt not repeated as it was",
        "claimd/metrics/reporter.py",
        "        if self._run.in_doubt is not None:\n            return self._run.in_doubt\n",
        "",
        "tests/metrics/test_reporter.py",
    ),
    Mutant(
        "counts of one name for all runs",
        "claimd/metrics/reporter.py",
        "{self._worker}.{os.urandom(8).hex()}",
        "{self._worker}",
        "tests/metrics/test_reporter.py",
    ),
    Mutant(
        "a merged run saves on",
        "lua/counts_save.lua",
        "if ended then",
        "if false then",
        "tests/metrics/test_reporter.py",
    ),
    Mutant(
        "a live run is merged",
        "lua/counts_merge.lua",
        "< silent_ms then",
        "< 0 then",
        "tests/metrics/test_merging.py",
    ),
    Mutant(
        "a merged run shown twice",
        "claimd/store/redis/counts.py",
        "_runs(read_pairs(flat_runs)).items()",
        "{name: (0, 0) for name in names}.items()",
        "tests/metrics/test_merging.py",
    ),
    Mutant(
        "old counts shown twice",
        "claimd/metrics/tally.py",
        "if FOLDED in saved.past else",
        "if False else",
        "tests/metrics/test_merging.py",
    ),
    Mutant(
        "settled claims lost",
        "lua/counts_settle.lua",
        "redis.call('HSET', KEYS[1], unpack(writes))",
        "-- nothing",
        "tests/metrics/test_merging.py",
    ),
)
