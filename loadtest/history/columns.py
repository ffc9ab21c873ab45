"""Columns of millions of claims and operations: their types, and the search for rows of one column in another."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from claimd.domain.claims import IDENTITY_BYTES
from loadtest.client.credentials import IDENTITY, IDENTITY_END, Identities
from loadtest.crowd.arrivals import Floats

Ints: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
__all__ = ["Floats", "Ints", "Mask", "count_true", "digest_of", "find_rows", "unpack_identities"]


def unpack_identities(packed: bytes) -> Identities:
    """Split concatenated digests of IDENTITY_BYTES into a column. Raises ValueError if the last one is incomplete."""
    digests = np.frombuffer(packed, np.uint8).reshape(-1, IDENTITY_BYTES)
    ended = np.full((len(digests), IDENTITY.itemsize), IDENTITY_END[0], np.uint8)
    ended[:, :IDENTITY_BYTES] = digests
    column: Identities = ended.reshape(-1).view(IDENTITY)
    return column


def digest_of(row: Any) -> bytes:
    """The digest of one row of a column of identities."""
    return bytes(row)[:IDENTITY_BYTES]


def find_rows(haystack: npt.NDArray[Any], needles: npt.NDArray[Any]) -> Ints:
    """Return for each needle its row in `haystack`, or -1. Of several equal rows the first is returned."""
    if not len(haystack):
        return np.full(len(needles), -1, np.int64)
    order = np.argsort(haystack, kind="stable")
    position = np.minimum(np.searchsorted(haystack, needles, sorter=order), len(haystack) - 1)
    rows = order[position]
    return np.where(haystack[rows] == needles, rows, -1)


def count_true(mask: Mask) -> int:
    """Return the number of true entries."""
    return int(np.count_nonzero(mask))
