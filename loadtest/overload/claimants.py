"""The claimants of an overload, each of which claims once: their passes, and their identities as an export has them."""

from typing import Final

import numpy as np
import numpy.typing as npt

from claimd.identity.keys import Keys
from claimd.identity.passes import PASS_CHARACTERS
from loadtest.client import credentials

_SEED: Final = 1
_MOST_CLAIMANTS: Final = 2**31 - 1

Ints = npt.NDArray[np.int64]


class Claimants:
    """Claimants are numbers from 0. Passes are minted ahead: there is no time for it while load is offered."""

    def __init__(self, keys: Keys, round_id: str) -> None:
        self._keys = keys
        self._round_id = round_id
        self._packed = b""
        self._first = 0

    def passes(self, count: int) -> bytes:
        """Return the packed passes of at least the next `count` claimants, 68 characters each, and keep them."""
        missing = count - len(self._packed) // PASS_CHARACTERS
        if missing > 0:
            known = self._first + len(self._packed) // PASS_CHARACTERS
            numbers = np.arange(known, known + missing, dtype=np.int32)
            self._packed += credentials.mint(self._keys, self._round_id, _SEED, numbers, _MOST_CLAIMANTS)
        return self._packed

    def use(self, count: int) -> int:
        """Use up the next `count` claimants; return the number of the first."""
        first = self._first
        self._first += count
        self._packed = self._packed[count * PASS_CHARACTERS :]
        return first

    def identities(self, numbers: Ints) -> credentials.Identities:
        """Return the identity digests of claimants, as an export has them."""
        return credentials.identities(self._keys, _SEED, numbers.tolist())
