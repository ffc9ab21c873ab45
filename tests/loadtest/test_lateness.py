"""A slow server is latency; a slow generator is invalid. The arithmetic of telling them apart."""

import numpy as np
import pytest

from loadtest.crowd.lateness import BlindSpell, busiest_window, late_fraction, own_lateness


def late(intended, sent, free_since, blind=()):
    return own_lateness(np.array(intended), np.array(sent), np.array(free_since), blind)


def test_sent_on_time_is_not_late():
    """A millisecond of tick is no lateness worth the name."""
    assert late_fraction(late([1.0, 2.0], [1.001, 2.001], [0.0, 0.0])) == 0.0


def test_due_and_a_connection_free_and_not_sent_is_late():
    """The generator had all it needed."""
    assert late([1.0], [1.5], [0.0]) == pytest.approx([0.5])


def test_waiting_for_a_busy_server_is_not_lateness():
    """No connection was free until just before it left: that is latency, however long."""
    assert late([1.0], [9.0005], [9.0]) == pytest.approx([0.0005])


def test_answers_left_unread_do_not_pass_for_a_busy_server():
    """The dispatcher did not wake for half a second; that connections looked busy meanwhile is no excuse."""
    found = late([1.0, 1.2, 3.0], [1.6, 1.601, 3.0], [1.6, 1.601, 3.0], [BlindSpell(1.1, 1.6)])
    assert found == pytest.approx([0.5, 0.4, 0.0])


def test_a_blind_spell_does_not_taint_what_lies_outside():
    """What had left before, and what was due long after, was not held up."""
    found = late([1.0, 2.0], [1.0, 2.0], [0.0, 0.0], [BlindSpell(1.1, 1.6)])
    assert late_fraction(found) == 0.0


def test_no_requests_no_lateness():
    """Nothing was late."""
    assert late_fraction(late([], [], [])) == 0.0


def test_the_busiest_window_is_found():
    """Ten seconds idle, five at full steam, ten idle: the mean would hide it."""
    wall = np.arange(26.0)
    cpu = np.concatenate([np.zeros(10), np.arange(6.0), np.full(10, 5.0)])
    assert busiest_window(wall.tolist(), cpu.tolist()) == pytest.approx(1.0)


def test_a_short_run_is_one_window():
    """There is no five-second window in a run of two seconds."""
    assert busiest_window([0.0, 1.0, 2.0], [0.0, 1.0, 1.0]) == pytest.approx(0.5)
    assert busiest_window([0.0], [0.0]) == 0.0
