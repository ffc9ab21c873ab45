"""The schedule of a crowd: which requests are in it, and that a seed decides all of them."""

import time

import numpy as np
import pytest

from claimd.domain.claims import IDENTITY_BYTES
from claimd.identity.keys import Keys, identity_digest
from claimd.identity.passes import PASS_CHARACTERS, Passes
from claimd.identity.unauthenticated import Unauthenticated
from loadtest.client.credentials import identities, mint, subject
from loadtest.crowd.pace import Pace
from loadtest.crowd.schedule import Forgery, Kind, Schedule, forgery_of, gather, people_for

POOL, SECONDS = 20_000, 10.0
KEYS = Keys.derive(b"s" * 32)


@pytest.fixture(scope="module")
def crowd() -> Schedule:
    """The crowd of a drop of 20,000 packs in ten seconds."""
    return gather(POOL, SECONDS, 7, 50)


def of(crowd: Schedule, *kinds: Kind) -> Schedule:
    """Its requests of these kinds."""
    return crowd.pick(np.isin(crowd.kinds, kinds))


def test_a_fifth_more_people_than_packs(crowd: Schedule) -> None:
    """Each has exactly one request that is neither a double tap nor early."""
    first = of(crowd, Kind.CLAIM, Kind.APP)
    assert crowd.people == people_for(POOL) == 24_000
    assert np.array_equal(np.sort(first.persons), np.arange(crowd.people))


def test_the_pool_th_distinct_person_comes_at_the_target(crowd: Schedule) -> None:
    """Double taps, early taps and app users included."""
    after = crowd.pick((crowd.offsets >= 0) & (crowd.kinds != Kind.BAD))
    _, first = np.unique(after.persons, return_index=True)
    assert np.sort(after.offsets[first])[POOL - 1] == pytest.approx(SECONDS, abs=1e-9)


def test_double_taps(crowd: Schedule) -> None:
    """One in twenty taps twice: half of them at the same moment, the others soon after."""
    again = of(crowd, Kind.AGAIN)
    first = of(crowd, Kind.CLAIM, Kind.APP)
    after = again.offsets - first.offsets[np.argsort(first.persons)][again.persons]
    assert len(again) == 1_200
    assert np.count_nonzero(after == 0) == 600
    assert np.all((after == 0) | ((after > 0.19) & (after < 3.01)))


def test_early_birds(crowd: Schedule) -> None:
    """One person in a hundred also taps before the opening; no other request is early."""
    early = of(crowd, Kind.EARLY)
    assert len(early) == 240
    assert early.offsets.min() >= -5.0
    assert early.offsets.max() <= -0.3
    assert np.all(crowd.offsets[crowd.kinds != Kind.EARLY] >= 0)


def test_bad_passes(crowd: Schedule) -> None:
    """Half a percent of requests carry a bad pass, of every kind."""
    bad = of(crowd, Kind.BAD)
    assert len(bad) == 120
    assert {forgery_of(person - crowd.people) for person in bad.persons.tolist()} == set(Forgery)


def test_app_users_come_at_once(crowd: Schedule) -> None:
    """They are among the first two seconds' arrivals and count as people."""
    assert len(of(crowd, Kind.APP)) == 50
    assert of(crowd, Kind.APP).offsets.max() <= 2.0


def test_a_closed_loop_brings_the_same_people_all_at_the_opening() -> None:
    """In the order of the real drop, with its double taps and bad passes, but without early requests."""
    at_once, drop = gather(POOL, 0, 7, 50), gather(POOL, 105, 7, 50)
    drop = drop.pick(drop.kinds != Kind.EARLY)
    assert (at_once.pace, drop.pace) == (Pace.CLOSED, Pace.OPEN)
    assert np.array_equal(at_once.offsets, np.zeros(len(drop)))
    assert np.array_equal(at_once.persons, drop.persons)
    assert np.array_equal(at_once.kinds, drop.kinds)
    assert [part.pace for part in (at_once.slice(0, 2), at_once.pick(at_once.kinds == Kind.BAD))] == [Pace.CLOSED] * 2


def test_a_seed_decides_everything(crowd: Schedule) -> None:
    """The same seed, the same crowd; another seed, another."""
    same, other = gather(POOL, SECONDS, 7, 50), gather(POOL, SECONDS, 8, 50)
    assert np.array_equal(crowd.offsets, same.offsets)
    assert np.array_equal(crowd.persons, same.persons)
    assert np.array_equal(crowd.kinds, same.kinds)
    assert not np.array_equal(crowd.offsets, other.offsets)


def test_slices_share_out_everything(crowd: Schedule) -> None:
    """The slices of three generators together are the whole schedule, each in order."""
    slices = [crowd.slice(index, 3) for index in range(3)]
    assert sum(map(len, slices)) == len(crowd)
    assert np.array_equal(np.sort(np.concatenate([part.offsets for part in slices])), crowd.offsets)
    assert all(np.all(np.diff(part.offsets) >= 0) for part in slices)


@pytest.mark.parametrize("pool", [1, 2, 7, 50, 300])
def test_small_pools_have_every_kind(pool: int) -> None:
    """A drop of one pack is still a drop."""
    kinds = {Kind.CLAIM, Kind.AGAIN, Kind.EARLY, Kind.BAD}
    assert set(gather(pool, 1.0, 1, pool // 100).kinds.tolist()) >= kinds
    assert set(gather(pool, 0, 1, pool // 100).kinds.tolist()) >= kinds - {Kind.EARLY}


def test_passes_are_what_the_gateway_accepts() -> None:
    """A minted pass is valid for its person and round; no bad pass is."""
    persons = np.array([0, 1, 2, 100, 101, 102], np.int32)
    packed = mint(KEYS, "r", 3, persons, people=100)
    texts = [packed[at : at + PASS_CHARACTERS].decode() for at in range(0, len(packed), PASS_CHARACTERS)]
    found = [Passes(KEYS.pass_key).verify_pass("r", text, now_ms=1) for text in texts[:3]]
    assert found == [(identity_digest(KEYS.identity_key, subject(3, person)), 0) for person in range(3)]
    now_ms = int(time.time() * 1000)
    assert all(isinstance(Passes(KEYS.pass_key).verify_pass("r", text, now_ms), Unauthenticated) for text in texts[3:])


def test_identities_are_those_of_the_passes() -> None:
    """The recount compares with the digests that the passes carry."""
    digests = identities(KEYS, 3, range(3))
    assert [bytes(digest)[:IDENTITY_BYTES] for digest in digests] == [
        identity_digest(KEYS.identity_key, subject(3, person)) for person in range(3)
    ]
