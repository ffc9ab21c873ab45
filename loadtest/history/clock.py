"""The server's clock as a history sees it. Without one, only the order of things is judged, which is most of it."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from redis import Redis

_SAMPLES: Final = 9


@dataclass(frozen=True, slots=True)
class ServerClock:
    """The server's clock shows `ms_at_zero` when that of the operations shows 0, give or take `error_ms`.

    Only for runs in which nobody sets the server's clock: else what it says of a moment is not true of another.
    """

    ms_at_zero: float
    error_ms: float

    def ms(self, seconds: Any) -> Any:
        """The server's milliseconds at `seconds` of the operations' clock; a number or a column of them."""
        return self.ms_at_zero + seconds * 1000


def read_clock(client: "Redis") -> ServerClock:
    """The clock of a Redis or Valkey against `time.monotonic`. Raises what the client raises."""
    best = ServerClock(0.0, float("inf"))
    for _ in range(_SAMPLES):
        asked = time.monotonic()
        seconds, microseconds = client.time()
        answered = time.monotonic()
        # Half the way there and back. Scripts cut their time to milliseconds: another one.
        error_ms = (answered - asked) * 500 + 1
        if error_ms < best.error_ms:
            best = ServerClock(seconds * 1000 + microseconds / 1000 - (asked + answered) * 500, error_ms)
    return best
