"""Errors of the Redis library become errors of the store here, and nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)

from claimd.store.errors import StoreRejected, StoreUnavailable

# Errors with a class of their own in the library, and errors known by the first word of the server's message alone.
_REJECTIONS = (
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
)


_REJECTION_WORDS = ("BUSY ", "MISCONF ", "NOREPLICAS ")


def store_error(error: Exception, *, sent: bool = True) -> StoreUnavailable:
    """The store's error for one of the library or of a socket; `sent` is whether a call may have reached the server.

    The server rejects a script with a `#!lua` line before it runs if it is full, loading, read-only or lacks replicas.
    """
    message = f"{type(error).__name__}: {error}"
    certain = not sent or isinstance(error, _REJECTIONS) or str(error).startswith(_REJECTION_WORDS)
    return StoreRejected(message) if certain else StoreUnavailable(message)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn errors of the library and of sockets into StoreUnavailable or StoreRejected."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise store_error(error) from error
