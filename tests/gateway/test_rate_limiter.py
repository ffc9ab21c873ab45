"""How often one identity may ask."""

from claimd.gateway.rate_limit import RateLimit
from tests.rounds import identity


def test_an_identity_is_limited_within_a_window_and_free_again_in_the_next() -> None:
    """The limit counts for each identity alone; the next window begins with a clean slate."""
    now = [0.0]
    limit = RateLimit(2, 1.0, lambda: now[0])
    assert [limit.admit(identity(1)) for _ in range(3)] == [True, True, False]
    assert limit.admit(identity(2))
    now[0] = 0.99
    assert not limit.admit(identity(1))
    now[0] = 1.0
    assert [limit.admit(identity(1)) for _ in range(3)] == [True, True, False]


def test_a_flood_of_identities_is_forgotten_with_its_window() -> None:
    """It keeps no more than an entry for each identity that asked within one window, however long the flood lasts."""
    now = [0.0]
    limit = RateLimit(1, 1.0, lambda: now[0])
    kept = []
    for window in range(20):
        now[0] = float(window)
        for number in range(500):
            limit.admit(identity(window * 500 + number))
            limit.admit(identity(window * 500 + number))
        kept.append(len(limit._counts))
    assert kept == [500] * 20
