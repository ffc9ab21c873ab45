"""Script calls over the Redis library's connections, without the client around them.

A call through the client takes nearly twice the processor time: locks of the pool, tasks and timers for sending and
reading, retries that are off. No reply is taken for that of another call: each script returns the id of its call first,
and a connection whose reply is missing, or has another id, is closed.
"""

import asyncio
import itertools
import math
import os
from collections.abc import Sequence
from typing import Any

from hiredis import pack_command
from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MasterDownError, NoScriptError, ReadOnlyError, RedisError, ResponseError

from claimd.store.errors import StoreUnavailable
from claimd.store.redis.connections import IdleConnections
from claimd.store.redis.errors import store_error
from claimd.store.redis.scripts import Script

_DEMOTED = (MasterDownError, ReadOnlyError)

# KEYS and, without the id of the call, ARGV.
ScriptCall = tuple[Sequence[str], Sequence[str | bytes]]


class _Stray(StoreUnavailable):
    """The reply has the id of another call."""


class ScriptCalls:
    """Up to `max_connections` calls at a time, each on a connection of its own that `pool` makes.

    The pool's `socket_timeout` must be None: `timeout_seconds` is for a whole call, with the wait for a connection.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        max_connections: int,
        timeout_seconds: float,
        idle: IdleConnections | None = None,
    ) -> None:
        self._pool = pool
        self.max_connections = max_connections
        self.timeout_seconds = timeout_seconds
        self._free = asyncio.Semaphore(max_connections)
        self._idle = IdleConnections() if idle is None else idle
        # Other processes may reach the server through the same proxy.
        self._own = os.urandom(4).hex().encode()
        self._numbers = itertools.count()

    async def call(self, script: Script, names: Sequence[str], args: Sequence[str | bytes]) -> list[Any]:
        """The script's reply without the id. Raises StoreRejected where it was not executed, else StoreUnavailable."""
        return (await self.call_with_followups(script, names, args, ()))[0]

    async def call_with_followups(
        self, script: Script, names: Sequence[str], args: Sequence[str | bytes], followups: Sequence[Sequence[Any]]
    ) -> tuple[list[Any], list[Any]]:
        """The same, and the replies to `followups`: commands in the same write, behind it, whose errors are values."""
        call_id = b"%b-%x" % (self._own, next(self._numbers))
        command = script.command(names, (call_id, *args))
        sent = False
        try:
            async with asyncio.timeout(self.timeout_seconds), self._free:
                connection = await self._connected()
                sent = True
                reply, *replies = await self._ask(connection, script, (command, *followups))
                if not isinstance(reply, list) or not reply or reply[0] != call_id:
                    await self._leave(connection)
                    raise StoreUnavailable(
                        f"the reply of {script.name}.lua is that of another call: {str(reply)[:100]}"
                    )
                await self._idle.put(connection)
                return reply[1:], replies
        except (RedisError, OSError, TimeoutError) as error:
            raise store_error(error, sent=sent) from error

    async def call_together(
        self, script: Script, calls: Sequence[ScriptCall], followups: Sequence[Sequence[Any]], timeout_seconds: float
    ) -> tuple[list[Any], list[Any]]:
        """Send several calls and then `followups` in one write on one connection, so that one fsync serves them all.

        Returns each call's reply without its id, or the StoreUnavailable that it ended with, and the replies to
        `followups`. Raises StoreRejected where no call was executed, StoreUnavailable where all outcomes are unknown.
        """
        ids = [b"%b-%x" % (self._own, next(self._numbers)) for _ in calls]
        commands = [script.command(names, (own, *args)) for own, (names, args) in zip(ids, calls, strict=True)]
        sent = False
        try:
            async with asyncio.timeout(timeout_seconds), self._free:
                connection = await self._connected()
                sent = True
                replies = await self._ask_together(connection, script, commands, followups)
                results = [_result(script, own, reply) for own, reply in zip(ids, replies, strict=False)]
                if any(isinstance(each, (_Stray, *_DEMOTED)) for each in results):
                    # It mixes up replies, or leads to a replica now: see `_ask`.
                    await self._leave(connection)
                else:
                    await self._idle.put(connection)
                return [_translated(each) for each in results], replies[len(calls) :]
        except (RedisError, OSError, TimeoutError) as error:
            raise store_error(error, sent=sent) from error

    async def _ask_together(
        self,
        connection: AbstractConnection,
        script: Script,
        commands: Sequence[Sequence[Any]],
        followups: Sequence[Sequence[Any]],
    ) -> list[Any]:
        try:
            replies = await _exchange(connection, (*commands, *followups))
            unknown = [at for at in range(len(commands)) if isinstance(replies[at], NoScriptError)]
            if unknown:
                # As in `_ask`, but only these calls: another one may have found the script and was executed.
                await _exchange(connection, (("SCRIPT", "LOAD", script.source),))
                again = await _exchange(connection, (*(commands[at] for at in unknown), *followups))
                for at, reply in zip(unknown, again, strict=False):
                    replies[at] = reply
                replies[len(commands) :] = again[len(unknown) :]
            return replies
        except BaseException:
            await self._leave(connection)
            raise

    async def close(self) -> None:
        """Close the idle connections, and wait until they are closed."""
        await self._idle.close()

    async def abandon(self) -> None:
        """Close the idle connections without waiting."""
        await self._idle.abandon()

    async def _connected(self) -> AbstractConnection:
        kept = await self._idle.take()
        if kept is not None:
            return kept
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def _ask(
        self, connection: AbstractConnection, script: Script, commands: Sequence[Sequence[Any]]
    ) -> list[Any]:
        try:
            replies = await _exchange(connection, commands)
            if isinstance(replies[0], NoScriptError):
                # The script cache is lost with every restart. The call was not executed, so it can be sent again.
                replies = await _exchange(connection, (("SCRIPT", "LOAD", script.source),))
                if not isinstance(replies[0], ResponseError):
                    replies = await _exchange(connection, commands)
        except BaseException:
            await self._leave(connection)
            raise
        if isinstance(replies[0], _DEMOTED):
            # The server is a replica now, and keeps its connections; the address may lead to another server already.
            await self._leave(connection)
            raise replies[0]
        if isinstance(replies[0], ResponseError):
            # The connection goes on: were this the error of another call, the next call would notice ours by its id.
            await self._idle.put(connection)
            raise replies[0]
        return replies

    async def _leave(self, connection: AbstractConnection) -> None:
        """Close a connection and all idle ones: what silenced or broke it may have done the same to them."""
        await connection.disconnect(nowait=True)
        await self._idle.abandon()


def _result(script: Script, own: bytes, reply: Any) -> Any:
    """The reply of a call without its id, or the error that it ended with."""
    if isinstance(reply, Exception):
        return reply
    if not isinstance(reply, list) or not reply or reply[0] != own:
        return _Stray(f"the reply of {script.name}.lua is that of another call: {str(reply)[:100]}")
    return reply[1:]


def _translated(result: Any) -> Any:
    return store_error(result) if isinstance(result, RedisError) else result


async def _exchange(connection: AbstractConnection, commands: Sequence[Sequence[Any]]) -> list[Any]:
    """Send all commands, then read all replies, so that none is left for the next call. Errors are values."""
    # The connection's own `pack_commands` takes five times as long.
    packed = [pack_command(tuple(command)) for command in commands]
    await connection.send_packed_command(packed, check_health=False)
    return [await _reply(connection) for _ in commands]


async def _reply(connection: AbstractConnection) -> Any:
    try:
        # The timeout is around all of it.
        reply = await connection.read_response(timeout=math.inf)
    except ResponseError as error:
        return error
    if reply is None:
        # No command of ours has this reply: the library takes the kernel's timeout (ETIMEDOUT) for one of its own.
        raise RedisConnectionError("the connection timed out: nothing was acknowledged")
    return reply
