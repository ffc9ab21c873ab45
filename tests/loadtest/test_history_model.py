"""No history of a correct round raises an alarm, whatever overlapped or was lost; broken rounds raise the right one."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from round_model import BUGS, play

from loadtest.client.answers import Answer


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_a_correct_round_raises_no_alarm(seed):
    """By the log, with the clock where it was steady; and without either where the total is known to have stayed."""
    played = play(seed)
    assert played.check().violations() == {}
    assert played.check(clock=None).violations() == {}
    if not played.edited:
        assert played.check(log=None, clock=None, pool=played.state.total).violations() == {}


def test_the_model_plays_all_there_is():
    """Every answer comes up, unknown ones are granted and not, and some know only by the export."""
    told, totals = Counter(), Counter()
    for seed in range(60):
        played = play(seed)
        counted = played.check()
        told.update(item.told for item in played.asked)
        totals.update(unknown=counted.unknown, unsettled=counted.unsettled, steady=played.steady, edited=played.edited)
    assert set(told) == set(Answer)
    assert min(totals.values()) >= 10


@pytest.mark.parametrize(("bug", "caught_as"), BUGS.items())
def test_a_broken_round_is_caught(bug, caught_as):
    """By the name that fits, within a few rounds."""
    assert any(caught_as in play(seed, bug).check().violations() for seed in range(100))
