"""Who sets the pace of a drop: the crowd (open loop), or whoever answers it (closed loop, SECONDS=0).

In a closed loop everybody is at the door at the opening, and a connection sends its next request as soon as it has
the last one's answer. There is then no moment a request was *meant* for: what is asked is how much claimd decides, and
neither how long a request waited nor whether the generator was late says anything.
"""

from enum import StrEnum


class Loop(StrEnum):
    """OPEN: requests are due by a schedule. CLOSED: all are due at the opening."""

    OPEN = "open"
    CLOSED = "closed"


def loop_of(seconds: float) -> Loop:
    """The loop of a drop that is to take `seconds`; 0 is as fast as it goes."""
    return Loop.OPEN if seconds else Loop.CLOSED


def pace_of(seconds: float) -> str:
    """The pace of such a drop, as it is said to people."""
    return f"in {seconds:g} s" if loop_of(seconds) is Loop.OPEN else "as fast as it goes"
