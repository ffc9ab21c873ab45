"""Parses a JWKS document (RFC 7517) into the keys that verify signatures, each with its one algorithm.

Entries that cannot verify are passed over, as section 5 demands: providers also publish encryption keys and new kinds
of keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import orjson

# Documents of identity providers have 1 to 20 KiB.
MAX_BYTES = 512 * 1024
# RFC 7518, section 3.1, and RFC 8037, without "none".
_ALGORITHMS = frozenset(f"{family}{bits}" for family in ("HS", "RS", "PS", "ES") for bits in (256, 384, 512)) | {
    "ES256K",
    "EdDSA",
}
_KEY_TYPES = frozenset(("oct", "RSA", "EC", "OKP"))
_OF_CURVE = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "secp256k1": "ES256K"}
# How much of a kid, which the provider chooses, a log line quotes.
_QUOTED_CHARACTERS = 64


class JwksError(ValueError):
    """A JWKS cannot be read or used. The message names its location and the reason, and contains no key."""


@dataclass(frozen=True, slots=True)
class Jwks:
    """`keys` are the usable keys by `kid`; `passed_over` has a phrase for each entry that cannot verify."""

    keys: Mapping[str, jwt.PyJWK]
    passed_over: tuple[str, ...] = ()


class _Unusable(Exception):
    """An entry is no key that verifies signatures; the message completes the sentence "key 3 …"."""


def parse_jwks(where: str, document: bytes) -> Jwks:
    """Parse a document. Raises JwksError, naming `where`, for one that is no JWKS or has two keys with one `kid`."""
    try:
        content = orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise JwksError(f"{where} is not JSON: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("keys"), list):
        raise JwksError(f'{where} must be an object with a list of "keys"')
    keys: dict[str, jwt.PyJWK] = {}
    entries: dict[str, Any] = {}
    passed_over = []
    for number, entry in enumerate(content["keys"]):
        try:
            kid, key = _read_key(entry)
        except _Unusable as reason:
            passed_over.append(f"key {number}{_name(entry)} {reason}")
            continue
        if entries.setdefault(kid, entry) != entry:
            raise JwksError(f"{where} has two keys with the kid {kid[:_QUOTED_CHARACTERS]!r}")
        keys[kid] = key
    return Jwks(keys, tuple(passed_over))


def _read_key(entry: Any) -> tuple[str, jwt.PyJWK]:
    if not isinstance(entry, dict):
        raise _Unusable("is no object")
    kid = entry.get("kid")
    if not isinstance(kid, str) or not kid:
        raise _Unusable("has no kid")
    if entry.get("use") not in (None, "sig"):
        raise _Unusable("is not for signatures (use)")
    operations = entry.get("key_ops")
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        raise _Unusable("is not for verifying (key_ops)")
    algorithm = _algorithm(entry)
    try:
        key = jwt.PyJWK(entry, algorithm)
        # The library's own check of a key for its algorithm, which a shared secret that is a public key fails.
        key.Algorithm.prepare_key(key.key)
    except Exception:
        # The library raises many kinds of errors; some quote the key.
        raise _Unusable(f"cannot be used as a key for {algorithm}") from None
    return kid, key


def _algorithm(entry: Mapping[str, Any]) -> str:
    """The one algorithm of a key: its `alg`, else the one that its type and curve imply. Raises _Unusable."""
    # As text: a list, which the file may have here, has no hash and so cannot be looked up.
    key_type, curve = str(entry.get("kty")), str(entry.get("crv"))
    if key_type not in _KEY_TYPES:
        raise _Unusable(f"needs a kty of {', '.join(sorted(_KEY_TYPES))}")
    implied = {"RSA": "RS256", "EC": _OF_CURVE.get(curve), "OKP": "EdDSA"}.get(key_type)
    algorithm = implied if entry.get("alg") is None else entry["alg"]
    if algorithm is None:
        raise _Unusable("needs an alg" if key_type == "oct" else "has a curve that is not known")
    if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS:
        raise _Unusable("has an alg that is not one of signatures, or not known")
    if key_type == "EC" and algorithm != implied:
        raise _Unusable("has an alg that is not its curve's")
    return algorithm


def _name(entry: Any) -> str:
    kid = entry.get("kid") if isinstance(entry, dict) else None
    return f" ({kid[:_QUOTED_CHARACTERS]!r})" if isinstance(kid, str) and kid else ""
