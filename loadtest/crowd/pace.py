"""What sets the pace of a drop: a schedule (open loop), or the speed at which claimd answers (closed loop, SECONDS=0).

In a closed loop all requests are due at the opening, and a connection sends its next request as soon as it has the
answer to its last one. That measures how many claims a second claimd decides. A request has no intended time of its
own there, so neither its latency nor the generator's lateness means anything.
"""

from enum import StrEnum


class Pace(StrEnum):
    """OPEN: requests are due by a schedule. CLOSED: all are due at the opening."""

    OPEN = "open"
    CLOSED = "closed"


def pace_of(seconds: float) -> Pace:
    """The pace of a drop that is to be sold out after `seconds`; 0 means as fast as possible."""
    return Pace.OPEN if seconds else Pace.CLOSED


def describe_pace(seconds: float) -> str:
    """The pace of such a drop in words, for the report and the terminal."""
    return f"in {seconds:g} s" if pace_of(seconds) is Pace.OPEN else "as fast as it goes"
