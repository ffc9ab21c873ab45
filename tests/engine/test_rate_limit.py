"""How often one identity may ask."""

from claimd.engine.rate_limit import RateLimit
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
