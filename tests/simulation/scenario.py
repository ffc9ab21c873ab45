"""The scenario of a seed: clients, stock, and the kinds and rates of faults. It is drawn at random before the run.

Each fault is left out of half of the runs: a fault that is always present hides what happens only without it.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from claimd.engine.batcher import BatchLimits


class Fate(StrEnum):
    """The fate of one call; without a fault it is ANSWERED."""

    ANSWERED = "answered"
    SLOW = "answered slowly"
    LOST = "lost before the server saw it"
    REPLY_LOST = "committed, its reply lost"
    REFUSED = "refused for certain"
    LATE = "decided long after the caller gave up"
    TWICE = "decided twice"
    BUG = "an unexpected error"


class Trouble(StrEnum):
    """A fault of the server that lasts for a while."""

    CRASH = "server gone, calls in flight cut off"
    DEAF = "server gone, calls hang"
    STALL = "server stalls"
    CLOCK_BACK = "server's clock set back"
    CLOCK_FORWARD = "server's clock set forward"


@dataclass(frozen=True, slots=True)
class Scenario:
    """The parameters of one run. `rates` are shares of all calls.

    `troubles` are (start, kind, duration), times in seconds. `gatherings` and `crowds` are (start, number of claims); a
    crowd is larger than a batch and comes at once.
    """

    gateways: int
    round_ids: tuple[str, ...]
    limits: BatchLimits
    storm_seconds: float
    identity_count: int
    crowds: tuple[tuple[float, int], ...]
    gatherings: tuple[tuple[float, int], ...]
    rates: dict[Fate, float]
    troubles: tuple[tuple[float, Trouble, float], ...]
    edits: tuple[float, ...]
    freeze_share: float
    gone_listeners: float
    insistence: float
    request_seconds: float
    stock: dict[str, int] = field(default_factory=dict)


# The highest rate of each fault in a run that has it.
_WORST_RATE = {
    Fate.SLOW: 0.3,
    Fate.LOST: 0.3,
    Fate.REPLY_LOST: 0.4,
    Fate.REFUSED: 0.4,
    Fate.LATE: 0.4,
    Fate.TWICE: 0.4,
    Fate.BUG: 0.05,
}


def draw_scenario(rng: Random) -> Scenario:
    """Draw a scenario. One run in twelve has no faults: the rules must hold there too."""
    calm = rng.random() < 1 / 12
    storm_seconds = rng.choice((0.5, 3.0, 12.0))
    round_ids = ("r1", "r2", "r3")[: rng.choice((1, 1, 2, 3))]
    identity_count = rng.choice((3, 20, 80))
    gatherings = _moments(rng, storm_seconds, rng.randint(3, 14), 1, 30)
    crowds = _moments(rng, storm_seconds, rng.randint(1, 2), 500, 2200) if rng.random() < 0.15 else ()
    asking = sum(size for _, size in (*gatherings, *crowds))
    return Scenario(
        gateways=rng.choice((1, 1, 2, 3)),
        round_ids=round_ids,
        limits=BatchLimits(
            max_wait_seconds=rng.choice((0.05, 0.3, 1.0)),
            max_waiting=rng.choice((8, 60, 700, 100_000, 100_000)),
            deadline_seconds=rng.choice((0.3, 1.5, 4.0, 4.0)),
        ),
        storm_seconds=storm_seconds,
        identity_count=identity_count,
        crowds=crowds,
        gatherings=gatherings,
        rates={} if calm else _rates(rng),
        troubles=() if calm else _troubles(rng, storm_seconds),
        edits=tuple(rng.uniform(0.0, storm_seconds + 8.0) for _ in range(rng.choice((0, 3, 12)))),
        freeze_share=0.0 if calm or rng.random() < 0.7 else 0.01,
        gone_listeners=rng.choice((0.0, 0.0, 0.1)),
        insistence=rng.choice((0.0, 0.3, 0.8)),
        request_seconds=rng.choice((0.0005, 0.005, 0.03)),
        stock={
            round_id: rng.choice((1, rng.randint(1, identity_count), rng.randint(1, asking), asking))
            for round_id in round_ids
        },
    )


def _moments(rng: Random, storm_seconds: float, count: int, least: int, most: int) -> tuple[tuple[float, int], ...]:
    return tuple((rng.uniform(0.0, storm_seconds), rng.randint(least, most)) for _ in range(count))


def _rates(rng: Random) -> dict[Fate, float]:
    return {fate: worst * rng.random() for fate, worst in _WORST_RATE.items() if rng.random() < 0.5}


def _troubles(rng: Random, storm_seconds: float) -> tuple[tuple[float, Trouble, float], ...]:
    kinds = [trouble for trouble in Trouble if rng.random() < 0.4]
    return tuple(
        (rng.uniform(0.0, storm_seconds), trouble, rng.choice((0.1, 1.0, 5.0)) * rng.random())
        for trouble in kinds
        for _ in range(rng.choice((1, 1, 3)))
    )
