"""Idle connections to the server: whether one may carry the next call, and when all of them are closed.

A firewall or a load balancer that forgets connections drops packets without a reset: all open connections become silent
at once, and each would cost a call its whole timeout. So a connection that was idle is probed first, and when a probe
has no reply, all idle connections are closed. Calls that follow each other closely cost no probe.
"""

import asyncio
import math
import socket
import time
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

# Under load the pause between two batches is a few milliseconds; a probe every 0.1 s has no measurable cost.
TRUSTED_SECONDS: Final = 0.1
# A server that is well replies in less than a millisecond, and one that stalls serves a new connection no later.
PROBE_SECONDS: Final = 0.5
# Less than the idle timeouts of firewalls and load balancers (from one minute up), and far more than a drop pauses.
EXPIRE_SECONDS: Final = 30.0

# Not PING, which claimd needs for nothing else: a user with no more rights than it needs may be denied it.
_PROBE: Final = "TIME"

# The kernel closes a connection whose data, or keepalive, the other kernel has not acknowledged for a second; that of a
# server that stalls still acknowledges. Keepalives are traffic, too, so that a firewall sees no idle connection.
TCP_OPTIONS: Final = {
    "socket_keepalive": True,
    "socket_keepalive_options": {
        socket.TCP_KEEPIDLE: 10,
        socket.TCP_KEEPINTVL: 3,
        socket.TCP_KEEPCNT: 3,
        socket.TCP_USER_TIMEOUT: 1000,
    },
}

Clock = Callable[[], float]


class IdleConnections:
    """A stack of idle connections. One that was idle for `trusted_seconds` or more is probed before it is used."""

    def __init__(self, trusted_seconds: float = TRUSTED_SECONDS, clock: Clock = time.monotonic) -> None:
        self._trusted_seconds = trusted_seconds
        self._clock = clock
        self._idle: list[tuple[AbstractConnection, float]] = []

    async def take(self) -> AbstractConnection | None:
        """The connection used last; None, after closing all others, where it fails its probe or there is none."""
        if not self._idle:
            return None
        connection, since = self._idle.pop()
        if await carries(connection, self._clock() - since, self._trusted_seconds):
            return connection
        await self.abandon()
        return None

    async def put(self, connection: AbstractConnection) -> None:
        """Add a connection that has carried a call; close the one that was idle longest if it has expired."""
        now = self._clock()
        self._idle.append((connection, now))
        if self._idle[0][1] < now - EXPIRE_SECONDS:
            await self._idle.pop(0)[0].disconnect(nowait=True)

    async def abandon(self) -> None:
        """Close all connections, as one of them was silent or broken; does not wait for their ends."""
        while self._idle:
            await self._idle.pop()[0].disconnect(nowait=True)

    async def close(self) -> None:
        """Close all connections at the same time, and wait: over TLS a silent one takes seconds to close."""
        closing = [connection.disconnect() for connection, _ in self._idle]
        self._idle.clear()
        await asyncio.gather(*closing, return_exceptions=True)


class CheckedPool(BlockingConnectionPool):
    """The library's pool with the same rules for its idle connections."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._idle_since: WeakKeyDictionary[AbstractConnection, float] = WeakKeyDictionary()

    async def ensure_connection(self, connection: AbstractConnection) -> None:
        """Connect it, with a new socket where the present one fails its probe. Raises RedisError, OSError."""
        if connection.is_connected:
            idle_seconds = time.monotonic() - self._idle_since.get(connection, -math.inf)
            if not await carries(connection, idle_seconds, TRUSTED_SECONDS):
                await self._abandon(since=math.inf)
        await super().ensure_connection(connection)

    async def release(self, connection: AbstractConnection) -> None:
        """Take a connection back; where it broke or timed out, close all idle ones."""
        now = time.monotonic()
        self._idle_since[connection] = now
        await self._abandon(since=now - EXPIRE_SECONDS if connection.is_connected else math.inf)
        await super().release(connection)

    async def _abandon(self, since: float) -> None:
        """Close those that have been idle since before `since`; the library connects them again when needed."""
        for connection in list(self._get_free_connections()):
            if connection.is_connected and self._idle_since.get(connection, -math.inf) < since:
                await connection.disconnect(nowait=True)


async def carries(connection: AbstractConnection, idle_seconds: float, trusted_seconds: float) -> bool:
    """Whether a call may be sent on an idle connection; if not, or if this is cancelled, it is closed."""
    try:
        # Data that nothing was sent for is the end of the connection, or a reply to another call.
        sound = idle_seconds < EXPIRE_SECONDS and not await connection.can_read()
        if sound and idle_seconds >= trusted_seconds:
            sound = await _replies_to_probe(connection) and not await connection.can_read()
    except (RedisError, OSError):
        sound = False
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    if not sound:
        await connection.disconnect(nowait=True)
    return sound


async def _replies_to_probe(connection: AbstractConnection) -> bool:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await connection.send_command(_PROBE, check_health=False)
            reply = await connection.read_response(timeout=math.inf)
    except ResponseError:
        # The server is loading, or is a replica: the call itself will get the same error.
        return True
    except TimeoutError:
        raise RedisConnectionError("an idle connection is silent") from None
    return isinstance(reply, list) and len(reply) == 2 and all(part.isdigit() for part in reply)
