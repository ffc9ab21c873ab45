"""The passes that people got, compared with the people: a pass must stand for the person whose token asked for it."""

from typing import Final

import numpy as np
import numpy.typing as npt

from loadtest.client.credentials import IDENTITY, Identities
from loadtest.history.columns import count_true

PASS: Final = np.dtype([("person", "i4"), ("identity", IDENTITY), ("expires_at_ms", "i8")])
"""A pass that a person got: the digest in it, and when it expires (ms since 1970)."""
IssuedPasses = npt.NDArray[np.void]


def wrong_passes(passes: IssuedPasses, identities: Identities, closes_at_ms: int) -> dict[str, int]:
    """Count the passes of the wrong person, and those that expire before the round ends.

    Person p is `identities[p]`.
    """
    return {
        "passes_of_others": count_true(passes["identity"] != identities[passes["person"]]),
        "passes_too_short": count_true(passes["expires_at_ms"] <= closes_at_ms),
    }
