"""A client to examine a server with. Claims and edits use the pools of `pools.py`."""

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from claimd.store.redis.addresses import pool_at


def connect(url: str, timeout_seconds: float = 5.0) -> Redis:
    """A client that never retries a command. Use it with `async with`. Raises ValueError."""
    return Redis.from_pool(
        pool_at(
            url,
            ConnectionPool,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
            # RESP2 needs no HELLO, which reports a missing password as something else and may be denied to the user.
            protocol=2,
            driver_info=None,
        )
    )
