"""The people who ask, each of them once: their passes, and the identities that an export knows them by."""

from typing import Final

import numpy as np
import numpy.typing as npt

from claimd.identity.keys import Keys
from claimd.identity.passes import PASS_CHARACTERS
from loadtest.client import credentials

_SEED: Final = 1
_MOST_PEOPLE: Final = 2**31 - 1

Ints = npt.NDArray[np.int64]


class People:
    """Their passes, packed; nobody comes twice. Minted ahead: while load is offered there is no time for it."""

    def __init__(self, keys: Keys, round_id: str) -> None:
        self._keys = keys
        self._round_id = round_id
        self._packed = b""
        self._first = 0

    def passes(self, count: int) -> bytes:
        """Of the next `count` people, packed; they stay the next until `came` is told."""
        missing = count - len(self._packed) // PASS_CHARACTERS
        if missing > 0:
            known = self._first + len(self._packed) // PASS_CHARACTERS
            persons = np.arange(known, known + missing, dtype=np.int32)
            self._packed += credentials.mint(self._keys, self._round_id, _SEED, persons, _MOST_PEOPLE)
        return self._packed

    def came(self, count: int) -> int:
        """So many of them have asked; returns the number of the first."""
        first = self._first
        self._first += count
        self._packed = self._packed[count * PASS_CHARACTERS :]
        return first

    def identities(self, persons: Ints) -> credentials.Identities:
        """Their digests, as an export has them."""
        return credentials.identities(self._keys, _SEED, persons.tolist())
