"""The one place where errors of the Redis library become errors of the store."""

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

# What the library gives a class of its own, and what it knows by the first word of the server's sentence alone.
_REFUSALS = (
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
)


_REFUSAL_WORDS = ("BUSY ", "MISCONF ", "NOREPLICAS ")


def store_error(error: Exception, *, asked: bool = True) -> StoreUnavailable:
    """What an error of the library, or of a socket, means; `asked` is whether anything may have reached the server.

    A script with a `#!lua` line is refused up front where the server is full, loading, read-only or short of replicas.
    """
    sentence = f"{type(error).__name__}: {error}"
    certain = not asked or isinstance(error, _REFUSALS) or str(error).startswith(_REFUSAL_WORDS)
    return StoreRejected(sentence) if certain else StoreUnavailable(sentence)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the library's errors, and a socket's, into StoreUnavailable."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise store_error(error) from error
