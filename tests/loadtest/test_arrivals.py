"""The curve of arrivals: front-loaded, normalised, and exact at the target."""

import numpy as np
import pytest

from loadtest.crowd.arrivals import FLOOR, arrivals, rate, time_of


@pytest.mark.parametrize(("pool", "seconds"), [(1, 1.0), (300, 3.0), (30_000, 10.0), (1_500_000, 105.0)])
def test_the_pool_th_person_comes_at_exactly_the_target(pool: int, seconds: float) -> None:
    """The sell-out time of a server that keeps up is the target, not nearly the target."""
    assert arrivals(pool, pool + 10, seconds, np.random.default_rng(1))[pool - 1] == pytest.approx(seconds, abs=1e-9)


def test_the_first_tenth_is_crowded() -> None:
    """At least 1.4 times the mean comes in the first tenth of the time."""
    pool, seconds = 100_000, 50.0
    came = arrivals(pool, pool, seconds, np.random.default_rng(2))
    assert np.count_nonzero(came < seconds / 10) >= 1.4 * pool / 10


def test_people_come_in_order() -> None:
    """Arrivals ascend, also after the target."""
    assert np.all(np.diff(arrivals(10_000, 12_000, 9.0, np.random.default_rng(3))) >= 0)


def test_the_rate_integrates_to_one_pool() -> None:
    """The area under the curve up to the target is the pool, and it falls from then on no further than the floor."""
    x = np.linspace(0, 1, 200_001)
    assert np.trapezoid(rate(x), x) == pytest.approx(1.0, abs=1e-4)
    assert rate(np.array([5.0]))[0] == FLOOR


def test_time_is_the_inverse_of_the_integral() -> None:
    """Integrating the rate up to `time_of(share)` gives the share, on all three stretches of the curve."""
    for share in (0.05, 0.142, 0.6, 1.0, 1.1, 1.2):
        x = np.linspace(0, float(time_of(np.array([share]))[0]), 200_001)
        assert np.trapezoid(rate(x), x) == pytest.approx(share, abs=1e-4)
