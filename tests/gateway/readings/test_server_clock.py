"""The estimate of the server's clock is never ahead of it, and follows it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from claimd.gateway.readings.server_clock import ServerClock


class Clocks:
    """Two clocks: that of the process in seconds, and that of the server in milliseconds."""

    def __init__(self, offset_ms: float = 1_700_000_000_000.4) -> None:
        self.seconds = 100.0
        self.offset_ms = offset_ms

    def process(self) -> float:
        return self.seconds

    def server_ms(self) -> int:
        return int(self.seconds * 1000 + self.offset_ms)


# How long a call takes to the server, and its reply back, in seconds; and how long it is until the next.
_TRIPS = st.lists(st.tuples(st.floats(0, 0.2), st.floats(0, 0.2), st.floats(0, 5)), min_size=1, max_size=20)


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(_TRIPS, st.floats(0, 3))
def test_the_estimate_is_not_ahead_and_at_most_a_round_trip_behind(
    trips: list[tuple[float, float, float]], later: float
) -> None:
    """Whatever the network does, as long as both clocks run alike; a moment later, too."""
    clocks = Clocks()
    clock = ServerClock(clocks.process)
    for there, back, pause in trips:
        clocks.seconds += pause
        sent_at = clocks.seconds
        clocks.seconds += there
        now_ms = clocks.server_ms()
        clocks.seconds += back
        clock.observe(now_ms, sent_at, clocks.seconds)
        assert clocks.server_ms() - (there + back) * 1000 - 2 <= clock.now_ms() <= clocks.server_ms()
    clocks.seconds += later
    assert clock.now_ms() <= clocks.server_ms()


def test_a_quick_reading_is_kept_over_a_slow_one() -> None:
    """A reply that was late for half a second does not set the clock back."""
    clocks = Clocks()
    clock = ServerClock(clocks.process)
    clock.observe(clocks.server_ms(), clocks.seconds, clocks.seconds)
    now_ms = clocks.server_ms()
    clocks.seconds += 0.5
    clock.observe(now_ms, clocks.seconds - 0.5, clocks.seconds)
    assert clocks.server_ms() - clock.now_ms() <= 1


def test_a_server_whose_clock_is_set_is_followed() -> None:
    """Forwards and back, with the next reading."""
    clocks = Clocks()
    clock = ServerClock(clocks.process)
    for step_ms in (0, 3_600_000, -7_200_000):
        clocks.offset_ms += step_ms
        clocks.seconds += 1
        clock.observe(clocks.server_ms(), clocks.seconds, clocks.seconds)
        assert 0 <= clocks.server_ms() - clock.now_ms() <= 1
