"""The estimate of the server's clock."""

import time
from collections.abc import Callable
from itertools import count

import pytest

from loadtest.target.clock import ServerClock, estimate

AHEAD_MS = 1_000_000.0


def answering(seconds: Callable[[int], float]) -> Callable[[], float]:
    """A server whose clock is AHEAD_MS ahead; read number n takes `seconds(n)`, all of it on the way back."""
    number = count()

    def read_ms() -> float:
        now_ms = time.monotonic() * 1000 + AHEAD_MS
        time.sleep(seconds(next(number)))
        return now_ms

    return read_ms


def test_the_shortest_round_trip_is_kept() -> None:
    """One exact sample among slow ones is enough, and the error that it states covers the true offset."""
    clock = estimate(answering(lambda number: 0.0 if number == 4 else 0.05))
    assert 1.0 <= clock.error_ms < 20
    assert clock.ms_at_zero == pytest.approx(AHEAD_MS, abs=clock.error_ms)


def test_a_slow_server_makes_a_wide_error() -> None:
    """Half the round trip is how far the estimate can be off."""
    clock = estimate(answering(lambda _: 0.02))
    assert clock.error_ms >= 11.0
    assert clock.ms_at_zero == pytest.approx(AHEAD_MS, abs=clock.error_ms)


def test_both_directions_agree() -> None:
    """Local seconds become the server's milliseconds and come back."""
    clock = ServerClock(5_000.0, 1.0)
    assert clock.ms(2.5) == 7_500.0
    assert clock.seconds(clock.ms(2.5)) == 2.5
