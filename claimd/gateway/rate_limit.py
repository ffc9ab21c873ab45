"""Limits the requests of one identity: a count for each in a fixed window, cleared as a whole when the window ends."""

from collections.abc import Callable


class RateLimit:
    """At most `limit` requests of one identity in a window. Memory is bounded by the requests of one window."""

    def __init__(self, limit: int, window_seconds: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._window_seconds = window_seconds
        self._clock = clock
        self._ends_at = 0.0
        self._counts: dict[bytes, int] = {}

    def admit(self, identity: bytes) -> bool:
        """Count one request; False where it is one too many."""
        now = self._clock()
        if now >= self._ends_at:
            self._counts.clear()
            self._ends_at = now + self._window_seconds
        count = self._counts.get(identity, 0) + 1
        self._counts[identity] = count
        return count <= self._limit
