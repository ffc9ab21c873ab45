"""Changes that `tests/loadtest/` must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

MUTANTS = (
    Mutant(
        "a checker that ignores real time",
        "loadtest/history/sequence.py",
        "possible_by_serial > acknowledged_by + skew",
        "possible_by_serial > acknowledged_by + 1e9",
        "tests/loadtest/test_history.py",
    ),
    Mutant(
        "a checker that ignores unknown outcomes",
        "loadtest/history/rules.py",
        "(owners >= 0) & claimants.in_doubt[owners]",
        "False",
        "tests/loadtest/test_history_model.py",
    ),
    Mutant(
        "a checker that forgets a raised total",
        "loadtest/history/timeline.py",
        "self.total_rose |= self.total is not None and total > self.total",
        "pass",
        "tests/loadtest/test_history_model.py",
    ),
    Mutant(
        "a checker that does not compare the log",
        "loadtest/history/consistency.py",
        "count_true(~logged) + count_true(~equal)",
        "0",
        "tests/loadtest/test_history.py",
    ),
    Mutant(
        "harness takes a busy gateway for a lost server",
        "loadtest/client/answers.py",
        '(b"503", "overloaded"): Answer.OVERLOADED',
        '(b"503", "overloaded"): Answer.UNAVAILABLE',
        "tests/loadtest/test_answers.py",
    ),
    Mutant(
        "harness believes its slowest look at the clock",
        "loadtest/target/clock.py",
        "if error_ms < best.error_ms:",
        "if error_ms > best.error_ms or best.error_ms == float('inf'):",
        "tests/loadtest/test_clock.py",
    ),
    Mutant(
        "flood forgets that no connection was free",
        "loadtest/client/flood.py",
        "                load.starving = True\n",
        "                load.starving = False\n",
        "tests/loadtest/test_flood.py",
    ),
    Mutant(
        "an invalid drop ends as one that held",
        "loadtest/drop/verdict.py",
        "Verdict.INVALID: 2",
        "Verdict.INVALID: 0",
        "tests/loadtest/test_drop_report.py",
    ),
    Mutant(
        "all people of a load have one head",
        "loadtest/client/heads.py",
        "bits = ((person + 1) * _SPREAD ^ self._start) & _WORD",
        "bits = self._start",
        "tests/loadtest/test_heads.py",
    ),
    Mutant(
        "a condition is sent as credentials are",
        "loadtest/client/requests.py",
        "head.before + condition + head.after",
        "head.before + head.credentials + condition + head.after",
        "tests/loadtest/test_requests.py",
    ),
    Mutant(
        "bench takes every answer of a visit",
        "loadtest/bench/visiting.py",
        "            if not right:\n",
        "            if False:\n",
        "tests/loadtest/test_bench.py",
    ),
    Mutant(
        "bench compares a visit's gateway alone",
        "loadtest/bench/figures.py",
        'entry["total_us"] = round(entry["gateway_us"] + entry["server_us"], 3)',
        'entry["total_us"] = round(entry["gateway_us"], 3)',
        "tests/loadtest/test_bench.py",
    ),
)
