"""Passes: 48 bytes that say "this identity may claim in this round until then", checked in 2 µs without any state.

    version (1) · expires_at_ms (7, big-endian) · identity digest (16) · keyed BLAKE2b over those and the round (24)

written as 64 characters of URL-safe base64. The round is signed, not carried: a pass is only ever shown to its round.
"""

import base64
import binascii
from hashlib import blake2b
from hmac import compare_digest

from claimd.domain.claims import IDENTITY_BYTES

PASS_CHARACTERS = 64

_VERSION = b"\x01"
_PAYLOAD_BYTES = 1 + 7 + IDENTITY_BYTES
_MAC_BYTES = 24
_FROM_URL_SAFE = bytes.maketrans(b"-_+/", b"+/--")


class Passes:
    """Issues and checks passes with one key (`Keys.pass_key`)."""

    def __init__(self, key: bytes) -> None:
        # Keyed once and copied for each pass: keying costs a compression of its own.
        self._keyed = blake2b(digest_size=_MAC_BYTES, key=key, person=b"claimd pass v1")

    def issue(self, round_id: str, identity: bytes, expires_at_ms: int) -> str:
        """A pass for an identity digest of 16 bytes, good until `expires_at_ms`."""
        payload = _VERSION + expires_at_ms.to_bytes(7, "big") + identity
        return base64.urlsafe_b64encode(payload + self._mac(payload, round_id)).decode()

    def verify(self, round_id: str, text: str, now_ms: int) -> bytes | None:
        """The identity digest, or None where the pass is malformed, forged, expired, or for another round."""
        if len(text) != PASS_CHARACTERS:
            return None
        try:
            raw = binascii.a2b_base64(text.encode("ascii").translate(_FROM_URL_SAFE), strict_mode=True)
        except ValueError:
            return None
        payload = raw[:_PAYLOAD_BYTES]
        # The signature before the content: what is not ours says nothing, not even that it has expired.
        if not compare_digest(raw[_PAYLOAD_BYTES:], self._mac(payload, round_id)):
            return None
        if payload[:1] != _VERSION or int.from_bytes(payload[1:8], "big") <= now_ms:
            return None
        return payload[8:]

    def _mac(self, payload: bytes, round_id: str) -> bytes:
        mac = self._keyed.copy()
        mac.update(payload)
        mac.update(round_id.encode())
        return mac.digest()
