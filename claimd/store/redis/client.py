"""Addresses of a server, and a client for looking at one. Claims and edits use connections of their own."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff


def connect(url: str, timeout_seconds: float = 5.0) -> Redis:
    """A client that asks once and does not try again. Use it with `async with`."""
    return Redis.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        single_connection_client=False,
        decode_responses=True,
        # Needs no permission but to log in, and tells a missing password as that: whoever has least may still ask.
        protocol=2,
        driver_info=None,
    )


def check_url(url: str) -> None:
    """Raise ValueError, without the URL in it, where no connection could ever be made of it."""
    try:
        BlockingConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError):
        # Their words may quote the password.
        raise ValueError(
            "is not an address the Redis library understands, such as redis://:password@host:6379/0"
        ) from None
