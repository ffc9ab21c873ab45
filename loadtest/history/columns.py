"""Columns of millions of claims and operations: their types, and how rows of one are found in another."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from claimd.domain.claims import IDENTITY_BYTES
from loadtest.client.credentials import IDENTITY, IDENTITY_END, Identities
from loadtest.crowd.arrivals import Floats

Ints: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
__all__ = ["Floats", "Ints", "Mask", "count", "find", "unpack_identities"]


def unpack_identities(packed: bytes) -> Identities:
    """Digests of 16 bytes, one after the other, as a column. Raises ValueError where the last is cut short."""
    digests = np.frombuffer(packed, np.uint8).reshape(-1, IDENTITY_BYTES)
    ended = np.full((len(digests), IDENTITY.itemsize), IDENTITY_END[0], np.uint8)
    ended[:, :IDENTITY_BYTES] = digests
    column: Identities = ended.reshape(-1).view(IDENTITY)
    return column


def find(haystack: npt.NDArray[Any], needles: npt.NDArray[Any]) -> Ints:
    """The index in `haystack` of each needle, -1 where there is none."""
    if not len(haystack):
        return np.full(len(needles), -1, np.int64)
    order = np.argsort(haystack, kind="stable")
    spot = np.minimum(np.searchsorted(haystack, needles, sorter=order), len(haystack) - 1)
    at = order[spot]
    return np.where(haystack[at] == needles, at, -1)


def count(mask: Mask) -> int:
    """How many are true."""
    return int(np.count_nonzero(mask))
