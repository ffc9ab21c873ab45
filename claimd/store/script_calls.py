"""Script calls by the shortest way the Redis library has in public: its connections, without the client around them.

A call through the client takes nearly twice the processor time: locks of the pool, a task and timers of their own for
sending and reading, retries that are off. Must never use a connection again whose reply did not come: a late reply
would be taken for another call's.
"""

import asyncio
import math
from collections.abc import Sequence
from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, ResponseError

from claimd.store.scripts import Script


class ScriptCalls:
    """Up to `max_connections` calls at once, each on a connection of its own, of those that `pool` makes.

    The pool's `socket_timeout` must be None: `timeout_seconds` is for a whole call, waiting for a connection included.
    """

    def __init__(self, pool: "ConnectionPool", max_connections: int, timeout_seconds: float) -> None:
        self._pool = pool
        self._timeout_seconds = timeout_seconds
        self._free = asyncio.Semaphore(max_connections)
        self._idle: list[AbstractConnection] = []

    async def call(self, script: Script, names: Sequence[str], args: Sequence[str | bytes]) -> Any:
        """The script's reply. Raises RedisError, OSError or TimeoutError; then what it did is unknown."""
        command = script.command(names, args)
        async with asyncio.timeout(self._timeout_seconds), self._free:
            connection = self._idle.pop() if self._idle else self._pool.make_connection()  # type: ignore[no-untyped-call]
            try:
                if connection.is_connected and await connection.can_read():
                    # Nobody asked, so it is the end of the connection, or the reply to somebody else.
                    await connection.disconnect(nowait=True)
                try:
                    reply = await _answer(connection, command)
                except NoScriptError:
                    # The cache is lost with every restart. It says that nothing was done, so asking again is safe.
                    await _answer(connection, ("SCRIPT", "LOAD", script.source))
                    reply = await _answer(connection, command)
            except ResponseError:
                self._idle.append(connection)
                raise
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
            self._idle.append(connection)
            return reply

    async def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            await self._idle.pop().disconnect()


async def _answer(connection: AbstractConnection, command: Sequence[Any]) -> Any:
    await connection.send_packed_command(connection.pack_command(*command), check_health=False)
    # The timeout is around all of it.
    return await connection.read_response(timeout=math.inf)
