"""The connections of one process to the server, in four pools, so that no kind of call holds up another.

No pool repeats a call by itself: the library's own retries are off, as only the caller knows what may be repeated.
"""

import asyncio
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from claimd.store.redis.addresses import pool_at
from claimd.store.redis.connections import TCP_OPTIONS, TRUSTED_SECONDS, CheckedPool, IdleConnections
from claimd.store.redis.script_calls import ScriptCalls

# A batch takes milliseconds; a call that takes seconds is one to a server that stalls, and its outcome is unknown. Half
# of a claim's deadline, so that there is time for a second try. The same for an operator or a page: in a network that
# drops everything in the middle of a call, the call takes this long (see `connections.py` for idle connections).
TIMEOUT_SECONDS = 2.0
# Two calls a round at most; a drop is one round, or a few at once.
_CLAIM_CONNECTIONS = 16
_LOOKUP_CONNECTIONS = 8
_EDIT_CONNECTIONS = 4
_READ_CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Pools:
    """`claim_calls` carry batches of claims alone, `lookup_calls` lookups of claims,
    `edit_calls` every other script; `reads` is the library's client, for everything that is not a script.
    """

    claim_calls: ScriptCalls
    lookup_calls: ScriptCalls
    edit_calls: ScriptCalls
    reads: Redis

    @classmethod
    def connect(cls, url: str, timeout_seconds: float = TIMEOUT_SECONDS) -> "Pools":
        """Pools for a URL of any kind (`addresses.py`). Connects with the first call.

        `timeout_seconds` is for a whole call; for a script, with the wait for a connection.
        """
        return cls(
            claim_calls=_script_calls(url, _CLAIM_CONNECTIONS, timeout_seconds),
            lookup_calls=_script_calls(url, _LOOKUP_CONNECTIONS, timeout_seconds),
            # An edit must not be repeated blindly: its connection is probed each time.
            edit_calls=_script_calls(url, _EDIT_CONNECTIONS, timeout_seconds, trusted_seconds=0.0),
            reads=Redis.from_pool(_pool(url, _READ_CONNECTIONS, timeout_seconds, reply_seconds=timeout_seconds)),
        )

    async def close(self) -> None:
        """Close all connections of all pools."""
        calls = (self.claim_calls, self.lookup_calls, self.edit_calls)
        await asyncio.gather(*(each.close() for each in calls), self.reads.aclose(), return_exceptions=True)


def _script_calls(
    url: str, connections: int, timeout_seconds: float, trusted_seconds: float = TRUSTED_SECONDS
) -> ScriptCalls:
    pool = _pool(url, connections, timeout_seconds, reply_seconds=None)
    return ScriptCalls(pool, connections, timeout_seconds, IdleConnections(trusted_seconds))


def _pool(url: str, max_connections: int, timeout_seconds: float, reply_seconds: float | None) -> CheckedPool:
    return pool_at(
        url,
        CheckedPool,
        **({} if url.startswith("unix://") else TCP_OPTIONS),
        max_connections=max_connections,
        timeout=reply_seconds,
        socket_timeout=reply_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        client_name="claimd",
        # It sends the library's name and version to the server: two more commands for each connection, which a user
        # with no more rights than it needs is denied, and the server's access log fills up.
        driver_info=None,
    )
