"""The size of a drop: its limits, and the connections and app users that fit a pool."""

import math
from typing import Final

from loadtest.commandline import SizeError
from loadtest.crowd.pace import Pace, pace_of

MOST_CONNECTIONS: Final = 500
MOST_APP_USERS: Final = 50
_FEWEST_CONNECTIONS: Final = 20
# Far below the capacity of any machine.
_SLOWEST_PER_SECOND: Final = 1000
_OVERTIME_SECONDS: Final = 120


def check_size(pool: int, seconds: float) -> None:
    """Raise SizeError for a pool or a length that cannot be run."""
    if not 1 <= pool <= 2**31:
        raise SizeError(f"POOL={pool} cannot be given away; name a number from 1 to 2^31")
    if seconds and not (math.isfinite(seconds) and 1 <= seconds <= 86_400):
        raise SizeError(f"SECONDS={seconds:g} cannot be run; name a number from 1 to 86400, or 0: as fast as it goes")


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
