"""The schedule of a whole evening: the curve of the arrivals, and what each person asks for in which order."""

from itertools import pairwise

import numpy as np
import pytest

from loadtest.crowd.evening import (
    GROWTH,
    LAST_LOOK_SECONDS,
    LOOK_BEFORE,
    SHORTEST_GATHERING_SECONDS,
    arrival_rate,
    arrival_time,
    gather_visits,
    quiet_seconds,
)  # fmt: skip
from loadtest.crowd.schedule import CLAIMS, Kind, Schedule, gather

POOL, SECONDS, GATHERING = 20_000, 10.0, 120.0


@pytest.fixture(scope="module")
def evening() -> Schedule:
    """The evening of a drop of 20,000 packs in ten seconds, with two minutes before it."""
    return gather_visits(POOL, SECONDS, GATHERING, 7)


def due(evening: Schedule, kind: Kind) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """When the request of this kind of each person is due, by person; NaN for those that have none."""
    moments = np.full(evening.people, np.nan)
    chosen = evening.kinds == kind
    moments[evening.persons[chosen]] = evening.offsets[chosen]
    return moments


def test_the_curve_grows_to_ten_times_its_beginning() -> None:
    """Its integral is 1, and `arrival_time` inverts it."""
    x = np.linspace(0, 1, 10_001)
    rate = arrival_rate(x)
    assert np.all(np.diff(rate) > 0)
    assert rate[-1] / rate[0] == pytest.approx(GROWTH)
    assert np.trapezoid(rate, x) == pytest.approx(1, abs=1e-6)
    integral = np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2 * np.diff(x))])
    assert np.allclose(arrival_time(integral), x, atol=1e-6)
    assert arrival_time(np.array([0.0, 1.0])).tolist() == [0.0, 1.0]


def test_people_arrive_by_the_curve(evening: Schedule) -> None:
    """From the beginning of the gathering to a few seconds before the opening, most of them late."""
    loads = due(evening, Kind.ROUND)
    last = -quiet_seconds(GATHERING)
    assert -GATHERING <= loads.min() < -GATHERING + 2
    assert last - 0.1 < loads.max() <= last
    x = (np.array([-60.0, -30.0, -15.0]) + GATHERING) / (GATHERING + last)
    expected = (GROWTH**x - 1) / (GROWTH - 1)
    found = [np.mean(loads <= moment) for moment in (-60.0, -30.0, -15.0)]
    assert found == pytest.approx(expected.tolist(), abs=0.01)


def test_each_person_makes_a_whole_visit_in_order(evening: Schedule) -> None:
    """Round, pass, claim, look-up: one of each, and each after the one before it."""
    steps = [due(evening, kind) for kind in (Kind.ROUND, Kind.PASS, Kind.CLAIM, Kind.MINE)]
    for before, after in pairwise(steps):
        assert np.all(before < after)
    assert np.all(steps[1] < 0)
    assert [np.count_nonzero(evening.kinds == kind) for kind in (Kind.ROUND, Kind.PASS, Kind.MINE)] == [24_000] * 3


def test_half_of_the_people_look_again_before_the_opening(evening: Schedule) -> None:
    """In its last seconds, and after they got their pass; a tenth look during the drop."""
    looks = evening.pick(evening.kinds == Kind.LOOK)
    before = looks.pick(looks.offsets < 0)
    assert len(before) == round(evening.people * LOOK_BEFORE)
    assert before.offsets.min() >= -LAST_LOOK_SECONDS
    assert np.all(before.offsets > due(evening, Kind.PASS)[before.persons])
    during = looks.pick(looks.offsets >= 0)
    assert len(during) == 2_400
    assert np.all(during.offsets > due(evening, Kind.CLAIM)[during.persons])


def test_the_claims_are_those_of_the_drop(evening: Schedule) -> None:
    """The same people at the same moments; only early birds wait until they have a pass."""
    claims, drop = evening.pick(np.isin(evening.kinds, CLAIMS)), gather(POOL, SECONDS, 7, 0)
    assert len(claims) == len(drop)
    for kind in (Kind.CLAIM, Kind.AGAIN, Kind.BAD):
        ours, theirs = claims.pick(claims.kinds == kind), drop.pick(drop.kinds == kind)
        assert np.array_equal(ours.offsets, theirs.offsets)
        assert np.array_equal(ours.persons, theirs.persons)
    early = claims.pick(claims.kinds == Kind.EARLY)
    assert np.all(early.offsets > due(evening, Kind.PASS)[early.persons])
    assert early.offsets.max() <= -0.3


def test_a_seed_decides_everything(evening: Schedule) -> None:
    """The same seed, the same evening; another seed, another."""
    same, other = gather_visits(POOL, SECONDS, GATHERING, 7), gather_visits(POOL, SECONDS, GATHERING, 8)
    assert np.array_equal(evening.offsets, same.offsets)
    assert np.array_equal(evening.persons, same.persons)
    assert not np.array_equal(evening.offsets, other.offsets)


def test_a_person_is_with_one_generator(evening: Schedule) -> None:
    """With all requests, in order, as the pass of one request is needed by another."""
    slices = [evening.slice_by_person(index, 3) for index in range(3)]
    assert sum(map(len, slices)) == len(evening)
    assert all(set(part.persons % 3) == {index} for index, part in enumerate(slices))
    assert all(np.all(np.diff(part.offsets) >= 0) for part in slices)


@pytest.mark.parametrize("pool", [1, 2, 7, 300])
def test_small_evenings_have_every_kind_in_order(pool: int) -> None:
    """Also with the shortest gathering."""
    small = gather_visits(pool, 1.0, SHORTEST_GATHERING_SECONDS, 1)
    assert set(small.kinds.tolist()) == set(Kind) - {Kind.APP}
    assert np.all(due(small, Kind.PASS) < -0.3)
    early = small.pick(small.kinds == Kind.EARLY)
    assert np.all(early.offsets > due(small, Kind.PASS)[early.persons])
