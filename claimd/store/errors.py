"""Errors of the store, and the one place where the Redis library's errors become them."""

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


class StoreError(Exception):
    """The store did not answer as it must; what was asked of it may or may not have happened."""


class StoreUnavailable(StoreError):
    """The server is gone, stalls, or refuses to serve: the outcome is unknown, and asking again is safe."""


class StoreRefused(StoreUnavailable):
    """As unavailable, but certain: it could not be asked, or said no before it began, so nothing happened."""


class StoreDamaged(StoreUnavailable):
    """What the server keeps of one round cannot be read; the others are not affected."""


def store_error(error: Exception, *, asked: bool = True) -> StoreUnavailable:
    """What an error of the library, or of a socket, means; `asked` is whether anything may have reached the server.

    A script with a `#!lua` line is refused up front where the server is full, loading, read-only or short of replicas.
    """
    sentence = f"{type(error).__name__}: {error}"
    certain = not asked or isinstance(error, _REFUSALS) or str(error).startswith(_REFUSAL_WORDS)
    return StoreRefused(sentence) if certain else StoreUnavailable(sentence)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the library's errors, and a socket's, into StoreUnavailable."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise store_error(error) from error
