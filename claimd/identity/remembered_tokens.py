"""Remembers tokens that were verified a moment ago, so that the same bytes are not verified again.

A token is remembered with the very key that verified it, and recalled only while the JWKS in use has that key. It is a
table of fixed size in which each token has one place: another token with the same place replaces it. So each step
takes the same time whatever is stored, and many valid tokens do not make it grow. Python's hash, which has a
secret seed in each process, decides the place: it cannot be aimed at.
"""

from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest
from typing import Final

import jwt

from claimd.identity.verified import Verified

# A power of two. Full of tokens with a payload of 200 bytes the table takes 21 MB, of the longest ones 81 MB.
PLACES: Final = 32_768
MAX_PAYLOAD_BYTES: Final = 1_536


@dataclass(frozen=True, slots=True)
class Remembered:
    """A token whose signature, issuer, audience and identity were found good; its times are to be checked at each use.

    `token_hash` is what `hash_token` returns; `key` and `kid` are those that verified it. The times are in seconds
    since 1970: `not_before` is the later of nbf and iat, None without either.
    """

    token_hash: bytes
    key: jwt.PyJWK
    kid: str
    expires_at: int
    not_before: int | None
    verified: Verified


class RememberedTokens:
    """A table of `places` verified tokens, a power of two."""

    def __init__(self, places: int = PLACES) -> None:
        if places & (places - 1):
            raise ValueError("the number of places must be a power of two")
        self._places: list[Remembered | None] = [None] * places
        self._mask = places - 1

    def recall(self, token_hash: bytes) -> Remembered | None:
        """The token with this hash, or None where it is not remembered or was replaced."""
        found = self._places[hash(token_hash) & self._mask]
        return found if found is not None and compare_digest(found.token_hash, token_hash) else None

    def remember(self, token: Remembered) -> None:
        """Remember a token in the place of whatever has it; one with a longer payload is not remembered."""
        if len(token.verified.payload) <= MAX_PAYLOAD_BYTES:
            self._places[hash(token.token_hash) & self._mask] = token


def hash_token(token: bytes) -> bytes:
    """32 bytes of BLAKE2b over the token as it was sent: another spelling of a signature is another token."""
    return blake2b(token, digest_size=32).digest()
