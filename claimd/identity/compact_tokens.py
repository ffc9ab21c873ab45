"""Reads the compact serialization of a JWS (RFC 7515, section 7.1): header, payload and signature, as they are.

It is as strict as PyJWT, whose own reader looks at a token byte by byte in Python. Nothing that it returns is verified.
"""

import json
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# base64url to base64; a "+" or "/" of the input becomes what is no base64, so that it is noticed.
_TO_BASE64 = bytes.maketrans(b"-_+/", b"+/--")
_PADDING = (b"", None, b"==", b"=")
_MAX_PADDING = 2


class Malformed(Exception):
    """The text is no token; the exception carries no part of it."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the verifier uses of a token's header: `kid`, empty if absent; `algorithm`, any JSON or None.

    `detached` is True where the payload would not be in the token (RFC 7797), which claimd does not accept.
    """

    kid: str
    algorithm: Any
    detached: bool


def read_header(segment: bytes) -> Header:
    """Read a header. Raises Malformed where it is no JSON object, its kid no string, or a `crit` not understood."""
    header = read_object(decode_segment(segment))
    kid = header.get("kid", "")
    if not isinstance(kid, str):
        raise Malformed
    if "crit" in header:
        _check_critical(header)
    return Header(kid, header.get("alg"), header.get("b64", True) is False)


def read_object(document: bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises Malformed for anything else; of two members with one name the last counts."""
    try:
        content = json.loads(document)
    except (ValueError, RecursionError):
        raise Malformed from None
    if not isinstance(content, dict):
        raise Malformed
    return content


def decode_segment(segment: bytes) -> bytes:
    """Decode base64url. Raises Malformed unless it is the one spelling of its bytes, alone or padded to full groups."""
    digits = segment.rstrip(b"=")
    given = len(segment) - len(digits)
    padding = _PADDING[len(digits) % 4]
    if padding is None or given > _MAX_PADDING or (given and len(segment) % 4):
        raise Malformed
    text = digits.translate(_TO_BASE64) + padding
    try:
        decoded = a2b_base64(text)
    except ValueError:
        raise Malformed from None
    # Only the one spelling survives the way back: no character was skipped, no bit dropped.
    if b2a_base64(decoded, newline=False) != text:
        raise Malformed
    return decoded


def _check_critical(header: Mapping[str, Any]) -> None:
    """RFC 7515, section 4.1.11: a `crit` that names an extension which is not understood rejects the token."""
    critical = header["crit"]
    if not isinstance(critical, list) or not critical or any(name != "b64" for name in critical) or "b64" not in header:
        raise Malformed
