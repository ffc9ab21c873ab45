"""Bounds how often the server is asked: so many times a second in the long run, and more at once after a pause."""

from collections.abc import Callable


class Pace:
    """Gives turns: `burst` of them at once, and from then on `per_second`. `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float], per_second: float, burst: int) -> None:
        self._clock = clock
        self._apart_seconds = 1 / per_second
        self._burst_seconds = burst / per_second
        # When the turns that were given would have been used up at the pace.
        self._used_until = clock()

    def turn(self) -> float:
        """Take the next turn: the seconds until it comes, often 0."""
        now = self._clock()
        self._used_until = max(self._used_until, now) + self._apart_seconds
        return max(0.0, self._used_until - now - self._burst_seconds)
