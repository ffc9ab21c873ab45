"""Script calls by the shortest way the Redis library has in public: its connections, without the client around them.

A call through the client takes nearly twice the processor time: locks of the pool, a task and timers of their own for
sending and reading, retries that are off. No reply is ever taken for another call's: each script gives back the id of
the call that it answers, and a connection whose reply did not come, or was another's, is closed.
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
    """A reply to another call."""


class ScriptCalls:
    """Up to `max_connections` calls at once, each on a connection of its own, of those that `pool` makes.

    The pool's `socket_timeout` must be None: `timeout_seconds` is for a whole call, waiting for a connection included.
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
        """What the script replies, after the id. Raises StoreRejected where nothing was done, else StoreUnavailable."""
        return (await self.call_with_followups(script, names, args, ()))[0]

    async def call_with_followups(
        self, script: Script, names: Sequence[str], args: Sequence[str | bytes], after: Sequence[Sequence[Any]]
    ) -> tuple[list[Any], list[Any]]:
        """The same, and the replies to the commands `after` it, sent in one write; an error among these is a value."""
        call_id = b"%b-%x" % (self._own, next(self._numbers))
        command = script.command(names, (call_id, *args))
        asked = False
        try:
            async with asyncio.timeout(self.timeout_seconds), self._free:
                connection = await self._connected()
                asked = True
                reply, *others = await self._ask(connection, script, (command, *after))
                if not isinstance(reply, list) or not reply or reply[0] != call_id:
                    await self._leave(connection)
                    raise StoreUnavailable(f"a reply that {script.name}.lua was not asked for: {str(reply)[:100]}")
                await self._idle.put(connection)
                return reply[1:], others
        except (RedisError, OSError, TimeoutError) as error:
            raise store_error(error, asked=asked) from error

    async def call_together(
        self, script: Script, calls: Sequence[ScriptCall], after: Sequence[Sequence[Any]], timeout_seconds: float
    ) -> tuple[list[Any], list[Any]]:
        """Several calls in one write on one connection, so that one fsync serves them all, and then `after`.

        Returns what each call replied after its id, or the StoreUnavailable that it ended with, and the replies to
        `after`. Raises StoreRejected where none was done, StoreUnavailable where nothing is known of any.
        """
        ids = [b"%b-%x" % (self._own, next(self._numbers)) for _ in calls]
        commands = [script.command(names, (own, *args)) for own, (names, args) in zip(ids, calls, strict=True)]
        sent = False
        try:
            async with asyncio.timeout(timeout_seconds), self._free:
                connection = await self._connected()
                sent = True
                replies = await self._ask_together(connection, script, commands, after)
                told = [_told(script, own, reply) for own, reply in zip(ids, replies, strict=False)]
                if any(isinstance(each, (_Stray, *_DEMOTED)) for each in told):
                    # It mixes up replies, or is a replica now: see `_ask`.
                    await self._leave(connection)
                else:
                    await self._idle.put(connection)
                return [_translated(each) for each in told], replies[len(calls) :]
        except (RedisError, OSError, TimeoutError) as error:
            raise store_error(error, asked=sent) from error

    async def _ask_together(
        self,
        connection: AbstractConnection,
        script: Script,
        commands: Sequence[Sequence[Any]],
        after: Sequence[Sequence[Any]],
    ) -> list[Any]:
        try:
            replies = await _exchange(connection, (*commands, *after))
            unknown = [at for at in range(len(commands)) if isinstance(replies[at], NoScriptError)]
            if unknown:
                # As in `_ask`, but only those: another one may have found the script, and was done.
                await _exchange(connection, (("SCRIPT", "LOAD", script.source),))
                again = await _exchange(connection, (*(commands[at] for at in unknown), *after))
                for at, reply in zip(unknown, again, strict=False):
                    replies[at] = reply
                replies[len(commands) :] = again[len(unknown) :]
            return replies
        except BaseException:
            await self._leave(connection)
            raise

    async def close(self) -> None:
        """Close the connections that are not in use."""
        await self._idle.close()

    async def abandon(self) -> None:
        """The same, without waiting for it."""
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
                # The cache is lost with every restart. It says that nothing was done, so asking again is safe.
                replies = await _exchange(connection, (("SCRIPT", "LOAD", script.source),))
                if not isinstance(replies[0], ResponseError):
                    replies = await _exchange(connection, commands)
        except BaseException:
            await self._leave(connection)
            raise
        if isinstance(replies[0], _DEMOTED):
            # It is a replica now, and keeps its connections: the address may lead to another server already.
            await self._leave(connection)
            raise replies[0]
        if isinstance(replies[0], ResponseError):
            # A reply like any other. Were it another call's, the next one would find ours in place of its own.
            await self._idle.put(connection)
            raise replies[0]
        return replies

    async def _leave(self, connection: AbstractConnection) -> None:
        """Close it, and all idle ones: what silenced or broke it may have done the same to them."""
        await connection.disconnect(nowait=True)
        await self._idle.abandon()


def _told(script: Script, own: bytes, reply: Any) -> Any:
    """What the call replied after its id, or the error that it ended with."""
    if isinstance(reply, Exception):
        return reply
    if not isinstance(reply, list) or not reply or reply[0] != own:
        return _Stray(f"a reply that {script.name}.lua was not asked for: {str(reply)[:100]}")
    return reply[1:]


def _translated(told: Any) -> Any:
    return store_error(told) if isinstance(told, RedisError) else told


async def _exchange(connection: AbstractConnection, commands: Sequence[Sequence[Any]]) -> list[Any]:
    """Send them all, then read all replies, so that none is left for the next call."""
    # A connection's own way to pack takes five times as long.
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
        # No command of ours replies so: the library takes the kernel's timeout (ETIMEDOUT) for one of its own.
        raise RedisConnectionError("the connection timed out: nothing was acknowledged")
    return reply
