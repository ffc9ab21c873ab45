"""The export of a round as columns: serial, identity and time of each claim."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import orjson

from claimd.domain.claims import IDENTITY_BYTES, claim_id_prefix
from claimd.domain.times import from_rfc3339
from loadtest.client.credentials import IDENTITY, IDENTITY_END, Identities
from loadtest.history.columns import Ints, Mask

_instant = lru_cache(maxsize=8192)(from_rfc3339)


@dataclass(frozen=True, slots=True)
class Export:
    """The claims of a round in the export's order. `malformed` counts the lines that are not a claim of the round.

    `voided_at_ms` is 0 for a claim that is held; without the column all are held.
    """

    serials: Ints
    identities: Identities
    claimed_at_ms: Ints
    malformed: int = 0
    voided_at_ms: Ints | None = None

    def __len__(self) -> int:
        return len(self.serials)

    @property
    def voided(self) -> Mask:
        """Whether each claim was voided."""
        return np.zeros(len(self), bool) if self.voided_at_ms is None else self.voided_at_ms > 0


def read_export(pieces: Iterable[bytes], round_id: str) -> Export:
    """Read an NDJSON export that comes in pieces of any size. Never raises for the content of a line."""
    prefix = f"{claim_id_prefix(round_id)}-"
    serials, instants, voids, packed, malformed = array("q"), array("q"), array("q"), bytearray(), 0
    for line in _lines(pieces):
        try:
            claim = orjson.loads(line)
            serial, identity = claim["serial"], bytes.fromhex(claim["identity"])
            instant = _instant(claim["claimed_at"])
            voided = _instant(claim["voided_at"]) if "voided_at" in claim else 0
            if type(serial) is not int or len(identity) != IDENTITY_BYTES or claim["id"] != f"{prefix}{serial}":
                raise ValueError
        except (ValueError, KeyError, TypeError):
            malformed += 1
            continue
        serials.append(serial)
        instants.append(instant)
        voids.append(voided)
        packed += identity + IDENTITY_END
    return Export(
        np.array(serials, np.int64),
        np.frombuffer(bytes(packed), IDENTITY),
        np.array(instants, np.int64),
        malformed,
        np.array(voids, np.int64),
    )


def _lines(pieces: Iterable[bytes]) -> Iterable[bytes]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    if rest:
        yield rest
