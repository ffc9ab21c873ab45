"""Errors of the store, and the one place where the Redis library's errors become them."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError


class StoreError(Exception):
    """The store did not answer as it must; what was asked of it may or may not have happened."""


class StoreUnavailable(StoreError):
    """The server is gone, stalls, or refuses to serve: the outcome is unknown, and asking again is safe."""


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the library's errors, and a socket's, into StoreUnavailable."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreUnavailable(f"{type(error).__name__}: {error}") from error
