"""What a server reports of itself, read once for all checks. What it does not permit to read is None, never a guess."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

_PARAMETERS = ("appendonly", "appendfsync", "no-appendfsync-on-rewrite")
_CLOCK_SAMPLES = 5


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """How far the server's clock is ahead of this machine's, give or take `uncertainty_seconds`."""

    ahead_seconds: float
    uncertainty_seconds: float


@dataclass(frozen=True, slots=True)
class Facts:
    """`info` has INFO's default sections, `configuration` what only CONFIG GET reveals.

    `mode` is `standalone`, `cluster` or `sentinel`.
    """

    info: Mapping[str, Any] | None
    configuration: Mapping[Any, Any] | None
    clock: ClockOffset | None
    mode: str | None = None


async def read_facts(server: Redis, clock: Callable[[], float] = time.time) -> Facts:
    """Read them. `clock` is this machine's, in seconds since 1970. Raises RedisError or OSError without an answer."""
    info: Mapping[str, Any] | None = None
    configuration: Mapping[Any, Any] | None = None
    offset: ClockOffset | None = None
    # A command that is not permitted, or that was renamed, is answered with an error: the next one can still be sent.
    with suppress(ResponseError):
        info = await server.info()
    with suppress(ResponseError):
        configuration = await server.config_get(*_PARAMETERS)
    with suppress(ResponseError):
        offset = await _offset(server, clock)
    return Facts(info, configuration, offset, await _mode(server, info or {}))


async def _mode(server: Redis, info: Mapping[str, Any]) -> str | None:
    """The server's mode; None where it hides that. Tried in three ways, as managed servers rename commands."""
    # Which of the two names Valkey uses depends on its setting extended-redis-compatibility.
    mode = info.get("server_mode", info.get("redis_mode"))
    if mode is not None:
        return str(mode)
    # HELLO needs no permission, so that a user without +info learns the mode from it.
    with suppress(ResponseError):
        hello = list(await server.execute_command("HELLO"))  # type: ignore[no-untyped-call]
        return str(hello[hello.index("mode") + 1])
    with suppress(ResponseError):
        # Outside a cluster this is an error.
        await server.execute_command("CLUSTER INFO")  # type: ignore[no-untyped-call]
        return "cluster"
    return None


async def _offset(server: Redis, clock: Callable[[], float]) -> ClockOffset:
    """The offset by the sample with the shortest round trip: it is wrong by half that round trip at most."""
    samples = []
    for _ in range(_CLOCK_SAMPLES):
        began, asked_at = time.perf_counter(), clock()
        seconds, microseconds = await server.time()
        half_trip = (time.perf_counter() - began) / 2
        samples.append((half_trip, seconds + microseconds / 1_000_000 - asked_at - half_trip))
    half_trip, ahead_seconds = min(samples)
    return ClockOffset(ahead_seconds, half_trip)
