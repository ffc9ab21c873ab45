"""The server's clock as the harness sees it: estimated from its answers, against this process's monotonic clock."""

import json
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from claimd.domain.times import from_rfc3339
from loadtest.target.console_client import open_url

if TYPE_CHECKING:
    from redis import Redis

_SAMPLES: Final = 9
# What is compared with this clock was cut to milliseconds, by a script or in an answer.
_CUT_MS: Final = 1.0


@dataclass(frozen=True, slots=True)
class ServerClock:
    """The server's clock shows `ms_at_zero` (since 1970) when the local clock shows 0 s, give or take `error_ms`.

    Only for runs in which the server's clock is not set: it is estimated once.
    """

    ms_at_zero: float
    error_ms: float

    def ms(self, seconds: Any) -> Any:
        """The server's milliseconds at `seconds` of the local clock; a number or a column of them."""
        return self.ms_at_zero + seconds * 1000

    def seconds(self, server_ms: float) -> float:
        """Seconds of the local clock at which the server's clock shows `server_ms`."""
        return (server_ms - self.ms_at_zero) / 1000


def estimate(read_ms: Callable[[], float]) -> ServerClock:
    """Read the server's clock nine times and keep the sample with the shortest round trip, which is the most exact.

    `read_ms` returns the server's milliseconds since 1970; what it raises passes through. The local clock is
    `time.monotonic`. The error is half the round trip and a millisecond.
    """
    best = ServerClock(0.0, float("inf"))
    for _ in range(_SAMPLES):
        asked = time.monotonic()
        server_ms = read_ms()
        answered = time.monotonic()
        error_ms = (answered - asked) * 500 + _CUT_MS
        if error_ms < best.error_ms:
            best = ServerClock(server_ms - (asked + answered) * 500, error_ms)
    return best


def read_gateway_clock(host: str, round_id: str) -> ServerClock:
    """The clock by which claimd at the URL `host` decides a round, as a phone can read it. Raises ApiError."""
    request = urllib.request.Request(f"{host.rstrip('/')}/v1/rounds/{round_id}")

    def read_ms() -> float:
        with open_url(request) as response:
            # The answer's time is cut to milliseconds: half of one more is the best guess.
            return from_rfc3339(json.loads(response.read())["server_time"]) + 0.5

    return estimate(read_ms)


def read_valkey_clock(client: "Redis") -> ServerClock:
    """The clock of a Redis or Valkey. Raises what the client raises."""

    def read_ms() -> float:
        seconds, microseconds = client.time()
        return float(seconds * 1000 + microseconds / 1000)

    return estimate(read_ms)
