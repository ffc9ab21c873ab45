"""How fast a counter grows, from its recent readings. No clock: every reading brings its time."""

from collections import deque

_WINDOW_MS = 5_000


class Pace:
    """Readings of one counter that only grows. Units: milliseconds in, per second out."""

    def __init__(self) -> None:
        self._readings: deque[tuple[int, float]] = deque()

    def add(self, at_ms: int, value: float) -> None:
        """A reading; one that is not newer than the last is left out."""
        if self._readings and at_ms <= self._readings[-1][0]:
            return
        self._readings.append((at_ms, value))
        # The reading at the window's edge stays, or the window would be shorter than it says.
        while len(self._readings) > 2 and self._readings[1][0] <= at_ms - _WINDOW_MS:
            self._readings.popleft()

    def per_second(self) -> float:
        """The mean over the last seconds; 0 before there are two readings."""
        if len(self._readings) < 2:
            return 0.0
        (first_ms, first), (last_ms, last) = self._readings[0], self._readings[-1]
        return max(0.0, (last - first) * 1000 / (last_ms - first_ms))
