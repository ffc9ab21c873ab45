"""A client to examine a server with, and the check of an address. Claims and edits use the pools of `pools.py`."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff


def connect(url: str, timeout_seconds: float = 5.0) -> Redis:
    """A client that never retries a command. Use it with `async with`."""
    return Redis.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        single_connection_client=False,
        decode_responses=True,
        # RESP2 needs no HELLO, which reports a missing password as something else and may be denied to the user.
        protocol=2,
        driver_info=None,
    )


def check_url(url: str) -> None:
    """Raise ValueError, without the URL in its message, where the library can make no connection of it."""
    try:
        BlockingConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError):
        # The library's message may quote the password.
        raise ValueError(
            "is not an address the Redis library understands, such as redis://:password@host:6379/0"
        ) from None
