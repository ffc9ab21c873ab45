"""The whole evening as one seeded schedule: people gather before the opening, and each makes a visit.

A visit is to load the round, get a pass, load the round again for some, claim as in any drop, and look up the claim.
Arrivals grow exponentially towards the opening, and end some seconds before it: everyone has a pass by then. Claims
are those of `schedule.gather` with the same pool, seconds and seed; only its early birds wait for their passes.
"""

import math
from dataclasses import replace
from typing import Final

import numpy as np

from loadtest.crowd.arrivals import Floats
from loadtest.crowd.schedule import EARLY_SECONDS, Kind, Schedule, gather

# The rate of arrivals at the end, relative to the rate at the beginning.
GROWTH: Final = 10.0
# The share of people that load the round again before the opening, and during the drop.
LOOK_BEFORE: Final = 0.5
LOOK_DURING: Final = 0.1
# What docs/app.md asks of an app: a request at a random moment of these last seconds keeps its connection open.
LAST_LOOK_SECONDS: Final = 30.0
LOOK_UP_AFTER_SECONDS: Final = (0.5, 30.0)
SHORTEST_GATHERING_SECONDS: Final = 5.0
_MOST_QUIET_SECONDS: Final = 5.0


def arrival_rate(x: Floats) -> Floats:
    """The rate of arrivals at time `x` of the gathering, from 0 to 1, relative to the mean."""
    return np.asarray(math.log(GROWTH) * GROWTH**x / (GROWTH - 1))


def arrival_time(share: Floats) -> Floats:
    """The time `x` from 0 to 1 by which `share` of the people have arrived; inverts the integral of `arrival_rate`."""
    return np.log1p(share * (GROWTH - 1)) / math.log(GROWTH)


def quiet_seconds(gathering_seconds: float) -> float:
    """The seconds before the opening in which no person arrives any more."""
    return min(_MOST_QUIET_SECONDS, gathering_seconds / 6)


def gather_visits(pool: int, seconds: float, gathering_seconds: float, seed: int) -> Schedule:
    """The schedule of an evening: of every person a ROUND, a PASS, a CLAIM and a MINE, and of some more.

    `gathering_seconds` is from the first arrival to the opening, at least SHORTEST_GATHERING_SECONDS; `seconds` is the
    length of the drop, not 0. The prerequisites of a request (the pass of a claim) are always due before it.
    """
    drop = gather(pool, seconds, seed, app_users=0)
    people = drop.people
    rng = np.random.default_rng([seed, 1])
    quiet = quiet_seconds(gathering_seconds)
    # The order of arrival before the opening has nothing to do with the order of the claims.
    share = (rng.permutation(people) + rng.random(people)) / people
    loads = -gathering_seconds + (gathering_seconds - quiet) * arrival_time(share)
    passes = loads + rng.uniform(0.2, 1.0, people) * quiet / 2
    again = rng.choice(people, round(people * LOOK_BEFORE), replace=False)
    look_from = np.maximum(passes[again], -min(LAST_LOOK_SECONDS, gathering_seconds / 2))
    looks = look_from * rng.uniform(0.02, 1.0, len(again))

    taps = np.zeros(people)
    first = drop.kinds == Kind.CLAIM
    taps[drop.persons[first]] = drop.offsets[first]
    during = rng.choice(people, max(1, round(people * LOOK_DURING)), replace=False)
    looks_during = taps[during] + rng.uniform(
        LOOK_UP_AFTER_SECONDS[0], min(LOOK_UP_AFTER_SECONDS[1], seconds), len(during)
    )
    latest_look_up = min(LOOK_UP_AFTER_SECONDS[1], max(2.0, 1.5 * seconds))
    look_ups = taps + rng.uniform(LOOK_UP_AFTER_SECONDS[0], latest_look_up, people)

    everyone = np.arange(people)
    offsets = np.concatenate([_after_their_passes(drop, passes, rng), loads, passes, looks, looks_during, look_ups])
    persons = np.concatenate([drop.persons, everyone, everyone, again, during, everyone]).astype(np.int32)
    kinds = np.concatenate([
        drop.kinds,
        np.full(people, Kind.ROUND, np.int8),
        np.full(people, Kind.PASS, np.int8),
        np.full(len(again) + len(during), Kind.LOOK, np.int8),
        np.full(people, Kind.MINE, np.int8),
    ])  # fmt: skip
    order = np.argsort(offsets, kind="stable")
    return replace(drop, offsets=offsets[order], persons=persons[order], kinds=kinds[order])


def _after_their_passes(drop: Schedule, passes: Floats, rng: np.random.Generator) -> Floats:
    """The drop's offsets, with early birds that would tap before they have a pass moved between pass and opening."""
    offsets = drop.offsets.copy()
    early = drop.kinds == Kind.EARLY
    soonest = passes[drop.persons[early]]
    latest = -EARLY_SECONDS[0]
    later = soonest + (latest - soonest) * rng.uniform(0.5, 1.0, len(soonest))
    offsets[early] = np.maximum(offsets[early], later)
    return offsets
