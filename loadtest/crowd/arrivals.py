"""When people arrive: the curve of a drop's demand, as pure arithmetic.

The rate starts at `CREST` times the mean, stays there for the first tenth, then decays exponentially, so that
exactly as many distinct people as the pool has packs have arrived at the end. Late people follow the same curve, but at
no less than `FLOOR` times the mean rate: its long tail would make a run long and prove nothing.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CREST: Final = 1.42
CREST_UNTIL: Final = 0.1
FLOOR: Final = 0.5


def _solve_decay() -> float:
    """The `k` for which the curve integrates to 1 over [0, 1]; by bisection, the integral falls as k grows."""
    low, high = 1e-6, 10.0
    for _ in range(100):
        k = (low + high) / 2
        integral = CREST * CREST_UNTIL + CREST * (1 - math.exp(-k * (1 - CREST_UNTIL))) / k
        low, high = (k, high) if integral > 1 else (low, k)
    return low


DECAY: Final = _solve_decay()
_FLOOR_FROM: Final = CREST_UNTIL + math.log(CREST / FLOOR) / DECAY
_ARRIVED_AT_CREST_END: Final = CREST * CREST_UNTIL
_ARRIVED_AT_FLOOR: Final = _ARRIVED_AT_CREST_END + (CREST - FLOOR) / DECAY


def rate(x: Floats) -> Floats:
    """The rate of arrivals at time `x`, relative to the mean; the pool-th distinct person arrives at `x` = 1."""
    return np.where(x < CREST_UNTIL, CREST, np.maximum(CREST * np.exp(-DECAY * (x - CREST_UNTIL)), FLOOR))


def time_of(share: Floats) -> Floats:
    """The time `x` at which `share` of the pool has arrived (late people: over 1); inverts the integral of `rate`."""
    decayed = 1 - (share - _ARRIVED_AT_CREST_END) * DECAY / CREST
    # The branch not taken may leave the logarithm's domain; `select` throws its value away.
    falling = CREST_UNTIL - np.log(np.maximum(decayed, 1e-9)) / DECAY
    return np.select(
        [share <= _ARRIVED_AT_CREST_END, share <= _ARRIVED_AT_FLOOR],
        [share / CREST, falling],
        _FLOOR_FROM + (share - _ARRIVED_AT_FLOOR) / FLOOR,
    )


def arrivals(pool: int, people: int, seconds: float, rng: np.random.Generator) -> Floats:
    """Seconds after the opening at which each of `people` arrives, ascending; the pool-th at exactly `seconds`."""
    share = (np.arange(people) + rng.random(people)) / pool
    share[pool - 1] = 1.0
    return time_of(share) * seconds
