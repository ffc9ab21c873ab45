"""Derives a key for each purpose from the one secret, and the digest that represents a person."""

from dataclasses import dataclass
from hashlib import blake2b

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from claimd.contract.limits import MAX_SUBJECT_BYTES
from claimd.domain.claims import IDENTITY_BYTES

MIN_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """Two keys of 32 bytes, and a fingerprint of the secret (16 hex digits) that may be printed.

    `repr` is off, so that keys never reach a log.
    """

    pass_key: bytes
    identity_key: bytes
    fingerprint: str

    @classmethod
    def derive(cls, secret: bytes) -> "Keys":
        """Derive by HKDF-SHA256 (RFC 5869) with one `info` a purpose. Raises ValueError for a secret under 32 bytes."""
        if len(secret) < MIN_SECRET_BYTES:
            raise ValueError(f"the secret has {len(secret)} bytes, at least {MIN_SECRET_BYTES} are needed")
        return cls(
            pass_key=_hkdf(secret, b"claimd pass v1"),
            identity_key=_hkdf(secret, b"claimd identity v1"),
            fingerprint=_hkdf(secret, b"claimd fingerprint v1", length=8).hex(),
        )


def _hkdf(secret: bytes, info: bytes, length: int = 32) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=info).derive(secret)


def identity_digest(identity_key: bytes, subject: str) -> bytes:
    """16 bytes of keyed BLAKE2b (RFC 7693) over the token's `sub`, byte for byte: no trimming, folding or normalising.

    Raises ValueError for a subject that is empty, longer than 512 bytes, or not encodable as UTF-8.
    """
    encoded = subject.encode()
    if not 1 <= len(encoded) <= MAX_SUBJECT_BYTES:
        raise ValueError(f"sub must have 1 to {MAX_SUBJECT_BYTES} bytes")
    return blake2b(encoded, digest_size=IDENTITY_BYTES, key=identity_key).digest()
