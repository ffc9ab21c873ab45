"""Passes: 51 bytes that let one identity claim in one round until they expire, verified without any state.

    version (1) · expires_at_ms (7, big-endian) · eligibility epoch (3, big-endian) · identity digest (16)
    · keyed BLAKE2b over those and the round (24)

written as 68 characters of URL-safe base64. The round is part of the signature but not of the bytes: the URL of a claim
names it. The server compares the epoch with that of the round: an edit of eligibility outdates earlier passes.
"""

import base64
import binascii
from hashlib import blake2b
from hmac import compare_digest

from claimd.domain.claims import IDENTITY_BYTES
from claimd.domain.rounds import FIRST_EPOCH
from claimd.identity.unauthenticated import Unauthenticated

PASS_CHARACTERS = 68

_VERSION = b"\x02"
_PAYLOAD_BYTES = 1 + 7 + 3 + IDENTITY_BYTES
_MAC_BYTES = 24
_FROM_URL_SAFE = bytes.maketrans(b"-_+/", b"+/--")


class Passes:
    """Issues and verifies passes with one key (`Keys.pass_key`)."""

    def __init__(self, key: bytes) -> None:
        # Keyed once and copied for each pass: keying takes as long as hashing a pass.
        self._keyed = blake2b(digest_size=_MAC_BYTES, key=key, person=b"claimd pass v2")

    def issue_pass(self, round_id: str, identity: bytes, expires_at_ms: int, epoch: int = FIRST_EPOCH) -> str:
        """A pass for an identity digest of 16 bytes, valid until `expires_at_ms` and in `epoch` of the round.

        Raises OverflowError for an epoch from 2^24 on.
        """
        payload = _VERSION + expires_at_ms.to_bytes(7, "big") + epoch.to_bytes(3, "big") + identity
        return base64.urlsafe_b64encode(payload + self._mac(payload, round_id)).decode()

    def verify_pass(self, round_id: str, text: str | bytes, now_ms: int) -> tuple[bytes, int] | Unauthenticated:
        """The identity digest and the epoch of a pass for this round; or MALFORMED, BAD_SIGNATURE, EXPIRED.

        A pass for another round, or of another secret or version, has a bad signature.
        """
        if len(text) != PASS_CHARACTERS:
            return Unauthenticated.MALFORMED
        try:
            characters = text.encode("ascii") if isinstance(text, str) else text
            raw = binascii.a2b_base64(characters.translate(_FROM_URL_SAFE), strict_mode=True)
        except ValueError:
            return Unauthenticated.MALFORMED
        payload = raw[:_PAYLOAD_BYTES]
        # The signature is compared first: the content of a forged pass is not read, not even its expiry.
        if not compare_digest(raw[_PAYLOAD_BYTES:], self._mac(payload, round_id)):
            # 68 characters that end in padding decode to fewer bytes: that is malformed, not forged.
            is_whole = len(raw) == _PAYLOAD_BYTES + _MAC_BYTES
            return Unauthenticated.BAD_SIGNATURE if is_whole else Unauthenticated.MALFORMED
        if payload[:1] != _VERSION:
            return Unauthenticated.BAD_SIGNATURE
        if int.from_bytes(payload[1:8], "big") <= now_ms:
            return Unauthenticated.EXPIRED
        return payload[11:], int.from_bytes(payload[8:11], "big")

    def _mac(self, payload: bytes, round_id: str) -> bytes:
        mac = self._keyed.copy()
        mac.update(payload)
        mac.update(round_id.encode())
        return mac.digest()
