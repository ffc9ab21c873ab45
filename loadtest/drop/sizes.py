"""The size of a drop: its limits, and the numbers and lengths that fit a pool where they are not given."""

import math
from enum import StrEnum
from typing import Final

from loadtest.commandline import SizeError
from loadtest.crowd.evening import SHORTEST_GATHERING_SECONDS
from loadtest.crowd.pace import Pace, pace_of
from loadtest.crowd.schedule import people_for

MOST_CONNECTIONS: Final = 500
MOST_APP_USERS: Final = 50
MOST_WATCHERS: Final = 50
_FEWEST_CONNECTIONS: Final = 20
# Far below the capacity of any machine.
_SLOWEST_PER_SECOND: Final = 1000
_OVERTIME_SECONDS: Final = 120
# The mean rate of arrivals: at the end of the gathering 6,100 people a second come, with 18,000 requests, which a
# generator on half a core can send while the gateway has the other core.
_ARRIVALS_PER_SECOND: Final = 2400
_USUAL_GATHERING_SECONDS: Final = 8.0


class Visits(StrEnum):
    """What people do beside their claim: nothing, or a whole visit."""

    NONE = "none"
    WHOLE = "whole"


# The real drop; and as many people as two cores can carry through the whole evening, at the real drop's rate of grants.
POOLS: Final = {Visits.NONE: 1_500_000, Visits.WHOLE: 300_000}
SECONDS: Final = {Visits.NONE: 105.0, Visits.WHOLE: 21.0}


def check_size(pool: int, seconds: float, visits: Visits = Visits.NONE, gathering_seconds: float = 0.0) -> None:
    """Raise SizeError for a pool or a length that cannot be run; `gathering_seconds` counts for whole visits alone."""
    if not 1 <= pool <= 2**31:
        raise SizeError(f"POOL={pool} cannot be given away; name a number from 1 to 2^31")
    if seconds and not (math.isfinite(seconds) and 1 <= seconds <= 86_400):
        raise SizeError(f"SECONDS={seconds:g} cannot be run; name a number from 1 to 86400, or 0: as fast as it goes")
    if visits is Visits.NONE:
        return
    if not seconds:
        raise SizeError("SECONDS=0 has no times, so it cannot be run with VISITS=whole; name a number from 1 to 86400")
    if not (math.isfinite(gathering_seconds) and SHORTEST_GATHERING_SECONDS <= gathering_seconds <= 86_400):
        raise SizeError(
            f"people cannot gather in {gathering_seconds:g} s; "
            f"name a number from {SHORTEST_GATHERING_SECONDS:g} to 86400 (--gathering)"
        )


def finish_seconds(requests: int, seconds: float) -> float:
    """The seconds after the opening in which all requests must be answered, or the drop is given up."""
    expected = seconds * 2 if pace_of(seconds) is Pace.OPEN else requests / _SLOWEST_PER_SECOND
    return expected + _OVERTIME_SECONDS


def connections_for(pool: int) -> int:
    """The number of connections: enough that no request waits for one, no more than a core can serve."""
    return max(_FEWEST_CONNECTIONS, min(MOST_CONNECTIONS, pool // 20))


def app_users_for(pool: int) -> int:
    """The number of app users: one person in a hundred, up to 50, as each costs as much as five others."""
    return min(MOST_APP_USERS, pool // 100)


def watchers_for(pool: int) -> int:
    """The number of people that watch the round's events: one in a hundred, up to 50."""
    return min(MOST_WATCHERS, pool // 100)


def gathering_seconds_for(pool: int) -> float:
    """The seconds over which the people of a whole evening arrive, by the rate that the harness can carry."""
    return max(_USUAL_GATHERING_SECONDS, float(math.ceil(people_for(pool) / _ARRIVALS_PER_SECOND)))
