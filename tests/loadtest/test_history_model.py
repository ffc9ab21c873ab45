"""No history of a correct round raises an alarm, whatever overlaps or is lost; a broken round raises the right one."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.client.answers import OF_VISITS, Answer
from tests.loadtest.round_model import BUGS, play


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_a_correct_round_raises_no_alarm(seed: int) -> None:
    """With the log, and the clock where it is steady; and without both where the total did not change."""
    played = play(seed)
    assert played.check().violations() == {}
    assert played.check(clock=None).violations() == {}
    if not played.edited:
        assert played.check(log=None, clock=None, pool=played.state.total).violations() == {}


def test_the_model_produces_every_answer() -> None:
    """Every answer to a claim comes up, unknown outcomes are granted and not, some are settled by the export alone."""
    answers: Counter[Answer] = Counter()
    totals: Counter[str] = Counter()
    for seed in range(60):
        played = play(seed)
        counted = played.check()
        answers.update(each.answer for each in played.operations)
        totals.update(unknown=counted.unknown, unsettled=counted.unsettled, steady=played.steady, edited=played.edited)
    assert set(answers) == set(Answer) - set(OF_VISITS)
    assert min(totals.values()) >= 10


@pytest.mark.parametrize(("bug", "caught_as"), BUGS.items())
def test_a_broken_round_is_caught(bug: str, caught_as: str) -> None:
    """Under the fitting name, within 100 rounds."""
    assert any(caught_as in play(seed, bug).check().violations() for seed in range(100))
