"""A claim: what one identity holds in one round. Its id is derived from round and serial and never stored."""

import base64
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

IDENTITY_BYTES = 16
_MAX_SERIAL_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Claim:
    """One granted claim. Serials count 1, 2, 3 … within a round, without gaps.

    `claimed_at_ms` is the server's clock at the grant, in milliseconds since 1970.
    """

    round_id: str
    serial: int
    claimed_at_ms: int

    @property
    def id(self) -> str:
        """The id of this claim; see `claim_id`."""
        return claim_id(self.round_id, self.serial)


@dataclass(frozen=True, slots=True)
class VoidedClaim:
    """A claim that an operator has taken back at `voided_at_ms`: its pack is in stock again, its serial is not.

    `barred` is whether its person may claim no other in this round.
    """

    serial: int
    identity: bytes
    claimed_at_ms: int
    voided_at_ms: int
    barred: bool


@lru_cache(maxsize=1024)
def claim_id_prefix(round_id: str) -> str:
    """16 characters that identify the round: 80 bits of BLAKE2b, so that a claim id never exceeds 64 characters.

    Two rounds share a prefix with a probability of n² / 2^81: 10^-18 for a thousand rounds.
    """
    digest = blake2b(round_id.encode(), digest_size=10, person=b"claimd claim id").digest()
    return base64.b32encode(digest).decode().lower()


def claim_id(round_id: str, serial: int) -> str:
    """The id of the `serial`-th claim of a round, unique over all rounds: `<round's prefix>-<serial>`."""
    return f"{claim_id_prefix(round_id)}-{serial}"


def serial_of(round_id: str, text: str) -> int | None:
    """The serial in a claim id of this round; None for any other text."""
    digits = text.removeprefix(f"{claim_id_prefix(round_id)}-")
    # As long as the largest serial there can be: more digits would only take time to convert.
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_SERIAL_DIGITS):
        return None
    serial = int(digits)
    return serial if claim_id(round_id, serial) == text else None
