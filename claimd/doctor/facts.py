"""What a server says of itself, asked once for all checks. What it does not permit to ask is None, never a guess."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

_ASKED = ("appendonly", "appendfsync", "no-appendfsync-on-rewrite")
_CLOCK_SAMPLES = 5


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """How far the server's clock is ahead of this machine's, give or take `uncertainty_seconds`."""

    ahead_seconds: float
    uncertainty_seconds: float


@dataclass(frozen=True, slots=True)
class Facts:
    """`info` is INFO's default sections, `configuration` is CONFIG GET of what INFO does not tell.

    `mode` is `standalone`, `cluster` or `sentinel`.
    """

    info: Mapping[str, Any] | None
    configuration: Mapping[Any, Any] | None
    clock: ClockOffset | None
    mode: str | None = None


async def read_facts(server: "Redis", clock: Callable[[], float] = time.time) -> Facts:
    """Ask. `clock` is this machine's, in seconds since 1970. Raises RedisError or OSError where nobody answers."""
    info: Mapping[str, Any] | None = None
    configuration: Mapping[Any, Any] | None = None
    offset: ClockOffset | None = None
    # Not permitted, or renamed by whoever runs it: that is a reply, so the next question can still be asked.
    with suppress(ResponseError):
        info = await server.info()
    with suppress(ResponseError):
        configuration = await server.config_get(*_ASKED)
    with suppress(ResponseError):
        offset = await _offset(server, clock)
    return Facts(info, configuration, offset, await _mode(server, info or {}))


async def _mode(server: "Redis", info: Mapping[str, Any]) -> str | None:
    """How the server runs, asked in three ways, as managed servers hide some of them."""
    # Valkey calls it by the one name or the other, as its configuration says.
    told = info.get("server_mode", info.get("redis_mode"))
    if told is not None:
        return str(told)
    # Access control lets every user say HELLO, also one who may not ask for INFO.
    with suppress(ResponseError):
        said = list(await server.execute_command("HELLO"))  # type: ignore[no-untyped-call]
        return str(said[said.index("mode") + 1])
    with suppress(ResponseError):
        # A server that is in no cluster answers with an error.
        await server.execute_command("CLUSTER INFO")  # type: ignore[no-untyped-call]
        return "cluster"
    return None


async def _offset(server: "Redis", clock: Callable[[], float]) -> ClockOffset:
    """The sample with the shortest way there and back tells best: half that way is all it can be wrong by."""
    samples = []
    for _ in range(_CLOCK_SAMPLES):
        began, asked_at = time.perf_counter(), clock()
        seconds, microseconds = await server.time()
        half_way = (time.perf_counter() - began) / 2
        samples.append((half_way, seconds + microseconds / 1_000_000 - asked_at - half_way))
    half_way, ahead_seconds = min(samples)
    return ClockOffset(ahead_seconds, half_way)
