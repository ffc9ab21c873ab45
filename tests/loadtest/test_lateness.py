"""Lateness: the arithmetic that separates a slow generator from a slow server."""

from collections.abc import Sequence

import numpy as np
import pytest

from loadtest.crowd.arrivals import Floats
from loadtest.crowd.lateness import BlindSpell, busiest_window, late_fraction, own_lateness


def late(intended: list[float], sent: list[float], free_since: list[float], blind: Sequence[BlindSpell] = ()) -> Floats:
    """The seconds by which each request was late by the generator's own doing."""
    return own_lateness(np.array(intended), np.array(sent), np.array(free_since), blind)


def test_sent_on_time_is_not_late() -> None:
    """A tick of a millisecond is below the threshold."""
    assert late_fraction(late([1.0, 2.0], [1.001, 2.001], [0.0, 0.0])) == 0.0


def test_due_and_a_connection_free_and_not_sent_is_late() -> None:
    """The generator had all that it needed to send."""
    assert late([1.0], [1.5], [0.0]) == pytest.approx([0.5])


def test_waiting_for_a_busy_server_is_not_lateness() -> None:
    """No connection was free until just before it was sent: that is latency, however long."""
    assert late([1.0], [9.0005], [9.0]) == pytest.approx([0.0005])


def test_unread_answers_do_not_excuse_lateness() -> None:
    """The dispatcher did not wake for half a second, and connections only looked busy as their answers lay unread."""
    found = late([1.0, 1.2, 3.0], [1.6, 1.601, 3.0], [1.6, 1.601, 3.0], [BlindSpell(1.1, 1.6)])
    assert found == pytest.approx([0.5, 0.4, 0.0])


def test_a_blind_spell_does_not_affect_other_requests() -> None:
    """One was sent before it, the other due long after it."""
    found = late([1.0, 2.0], [1.0, 2.0], [0.0, 0.0], [BlindSpell(1.1, 1.6)])
    assert late_fraction(found) == 0.0


def test_no_requests_no_lateness() -> None:
    """The fraction of an empty drop is 0."""
    assert late_fraction(late([], [], [])) == 0.0


def test_the_busiest_window_is_found() -> None:
    """Ten seconds idle, five at full load, ten idle: the mean would hide it."""
    wall = np.arange(26.0)
    cpu = np.concatenate([np.zeros(10), np.arange(6.0), np.full(10, 5.0)])
    assert busiest_window(wall.tolist(), cpu.tolist()) == pytest.approx(1.0)


def test_a_short_run_is_one_window() -> None:
    """There is no five-second window in a run of two seconds."""
    assert busiest_window([0.0, 1.0, 2.0], [0.0, 1.0, 1.0]) == pytest.approx(0.5)
    assert busiest_window([0.0], [0.0]) == 0.0
