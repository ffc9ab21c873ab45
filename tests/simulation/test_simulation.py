"""250 seeds of the simulation, the same each time. For more: `python -m tests.simulation --seeds 10000`."""

import subprocess
import sys
from collections import Counter

import pytest

from claimd.domain.outcomes import Outcome
from tests.simulation.__main__ import story, tried
from tests.simulation.run import simulate
from tests.simulation.scenario import Fate, Trouble

SEEDS = 250
_SEEDS_IN_A_TEST = 50


@pytest.mark.parametrize("first", range(0, SEEDS, _SEEDS_IN_A_TEST), ids="from {}".format)
def test_all_rules_are_kept_under_all_faults(first: int) -> None:
    """No seed breaks a rule; a failure names the seed and the command that repeats it."""
    _, failed, _, _ = tried(range(first, first + _SEEDS_IN_A_TEST))
    if failed is not None:
        pytest.fail(story(simulate(failed)), pytrace=False)


def test_a_seed_is_the_same_run_in_any_process() -> None:
    """The events and their times are equal: they depend neither on hashes of bytes nor on addresses of objects."""
    for seed in (3, 11):
        ours = simulate(seed)
        assert simulate(seed).history.digest() == ours.history.digest()
        command = [sys.executable, "-m", "tests.simulation", "--seed", str(seed)]
        theirs = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        assert f"digest {ours.history.digest()}" in theirs


def test_different_seeds_are_different_runs() -> None:
    """Otherwise many seeds would test no more than one."""
    assert len({simulate(seed).history.digest() for seed in range(20)}) == 20


def test_faults_and_outcomes_are_all_met() -> None:
    """Sixty seeds meet every fault and every outcome that the engine can answer with."""
    times: Counter[str] = tried(range(60))[2]
    wanted = [fate.value for fate in Fate if fate is not Fate.ANSWERED] + [trouble.value for trouble in Trouble]
    # No simulated round is archived, no simulated edit ends an epoch, nobody looks a claim up, and rate limits are not
    # part of the engine.
    unmet = (Outcome.RATE_LIMITED, Outcome.ARCHIVED, Outcome.PASS_OUTDATED, Outcome.NOT_CLAIMED)
    wanted += [f"answered {outcome.value}" for outcome in Outcome if outcome not in unmet]
    wanted += [
        "two calls in flight",
        "granted after it was answered unavailable",
        "dropped at its deadline, never sent",
    ]
    assert [name for name in wanted if not times[name]] == []
