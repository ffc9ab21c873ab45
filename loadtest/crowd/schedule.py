"""The whole crowd of a drop as one seeded schedule, fixed before the first request is sent.

People are numbered in the order of their arrival. Numbers from `people` on are not people but bad passes
(`forgery_of` is their kind). The same pool, seconds, seed and app users always give the same schedule.
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from loadtest.crowd.arrivals import Floats, arrivals
from loadtest.crowd.pace import Pace, pace_of

LATECOMERS: Final = 0.20
DOUBLE_TAPS: Final = 0.05
DOUBLE_TAP_SECONDS: Final = (0.2, 3.0)
EARLY_BIRDS: Final = 0.01
EARLY_SECONDS: Final = (0.3, 5.0)  # the latter no more than the drop itself is long
BAD_PASSES: Final = 0.005
APP_SECONDS: Final = 2.0
# A closed loop has no times: its requests are in the order of a drop of this length.
ORDER_SECONDS: Final = 105.0


class Kind(IntEnum):
    """The kind of a request, which decides the answers that are right for it.

    Claims: a first one, a double tap, one before the opening, one with a bad pass, an app user's. The others are of a
    whole visit: the first look at the round, the pass, another look at the round, the look-up of the claim.
    """

    CLAIM = 0
    AGAIN = 1
    EARLY = 2
    BAD = 3
    APP = 4
    ROUND = 5
    PASS = 6
    LOOK = 7
    MINE = 8


CLAIMS: Final = (Kind.CLAIM, Kind.AGAIN, Kind.EARLY, Kind.BAD, Kind.APP)


class Forgery(IntEnum):
    """What is wrong with a bad pass."""

    FORGED = 0
    EXPIRED = 1
    OTHER_ROUND = 2


@dataclass(frozen=True, slots=True)
class Schedule:
    """A column entry for each request, in sending order: seconds after the opening, person, and `Kind`.

    `people` is the number of persons; higher numbers are bad passes.
    """

    pace: Pace
    people: int
    offsets: Floats
    persons: npt.NDArray[np.int32]
    kinds: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.offsets)

    def slice(self, index: int, count: int) -> "Schedule":
        """The share of generator `index` of `count`: every count-th request; a person may be in several."""
        own = np.s_[index::count]
        return replace(self, offsets=self.offsets[own], persons=self.persons[own], kinds=self.kinds[own])

    def slice_by_person(self, index: int, count: int) -> "Schedule":
        """The share of generator `index` of `count`, in which a person is with all of his or her requests."""
        return self.pick(self.persons % count == index)

    def pick(self, chosen: npt.NDArray[np.bool_]) -> "Schedule":
        """The chosen requests, still in order."""
        return replace(self, offsets=self.offsets[chosen], persons=self.persons[chosen], kinds=self.kinds[chosen])


def forgery_of(number: int) -> Forgery:
    """What is wrong with bad pass `number` (counted from the first bad pass)."""
    return Forgery(number % len(Forgery))


def people_for(pool: int) -> int:
    """How many people want a pack: a fifth more than the pool has."""
    return pool + max(1, round(pool * LATECOMERS))


def earliest(seconds: float) -> float:
    """The greatest number of seconds before the opening at which a person may tap."""
    return min(EARLY_SECONDS[1], seconds)


def gather(pool: int, seconds: float, seed: int, app_users: int) -> Schedule:
    """The schedule of a drop; `app_users` of the people are app users, chosen among the first arrivals."""
    if pace_of(seconds) is Pace.CLOSED:
        return _all_at_once(gather(pool, ORDER_SECONDS, seed, app_users))
    rng = np.random.default_rng(seed)
    people = people_for(pool)
    first = arrivals(pool, people, seconds, rng)
    first_kinds = np.full(people, Kind.CLAIM, np.int8)
    at_once = max(app_users, int(np.searchsorted(first, APP_SECONDS)))
    first_kinds[rng.choice(min(at_once, people), min(app_users, people), replace=False)] = Kind.APP

    again = rng.choice(people, max(2, round(people * DOUBLE_TAPS)), replace=False)
    again_after = rng.uniform(*DOUBLE_TAP_SECONDS, len(again))
    again_after[: len(again) // 2] = 0.0  # the same moment, so on another connection

    early = rng.choice(people, max(1, round(people * EARLY_BIRDS)), replace=False)
    bad = max(len(Forgery), round(people * BAD_PASSES))

    offsets = np.concatenate([
        first,
        first[again] + again_after,
        -rng.uniform(EARLY_SECONDS[0], earliest(seconds), len(early)),
        rng.choice(first, bad),
    ])  # fmt: skip
    persons = np.concatenate([np.arange(people), again, early, people + np.arange(bad)]).astype(np.int32)
    kinds = np.concatenate([
        first_kinds,
        np.full(len(again), Kind.AGAIN, np.int8),
        np.full(len(early), Kind.EARLY, np.int8),
        np.full(bad, Kind.BAD, np.int8),
    ])  # fmt: skip
    order = np.argsort(offsets, kind="stable")
    return Schedule(Pace.OPEN, people, offsets[order], persons[order], kinds[order])


def _all_at_once(schedule: Schedule) -> Schedule:
    """The same crowd in the same order, all at the opening, without early birds."""
    staying = schedule.pick(schedule.kinds != Kind.EARLY)
    return replace(staying, pace=Pace.CLOSED, offsets=np.zeros(len(staying)))
