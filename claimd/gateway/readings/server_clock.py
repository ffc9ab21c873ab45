"""The server's clock, estimated between the readings that bring its time.

Each reading bounds the difference between the two clocks: the server read its clock after the call was sent and before
the reply was here. The estimate is a lower bound, as a client must not see an opening before the server does. It is at
most a round trip behind the server's clock, and follows it where it is set or drifts away.
"""

from collections.abc import Callable


class ServerClock:
    """Estimates the server's time. `clock` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._offset_ms = float("-inf")

    def observe(self, now_ms: int, sent_at: float, received_at: float) -> None:
        """Note that the server's clock was `now_ms` between two times of `clock`."""
        least_ms = now_ms - received_at * 1000
        # The server's milliseconds are cut off.
        most_ms = now_ms + 1 - sent_at * 1000
        if not least_ms <= self._offset_ms <= most_ms:
            self._offset_ms = least_ms

    def now_ms(self) -> int:
        """The server's time in ms since 1970; call it after the first `observe`."""
        return int(self._clock() * 1000 + self._offset_ms)
