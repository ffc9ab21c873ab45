"""Bearer tokens of the identity provider: JWTs, checked against a JWKS file. The key decides the algorithm."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import orjson

# RFC 7518 section 3.1 and RFC 8037; "none" is no algorithm of a key.
_ALGORITHMS = frozenset(f"{family}{bits}" for family in ("HS", "RS", "PS", "ES") for bits in (256, 384, 512)) | {
    "ES256K",
    "EdDSA",
}
_KEY_TYPES = frozenset(("oct", "RSA", "EC", "OKP"))


class JwksError(ValueError):
    """The JWKS file cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token that was verified: its `sub`, byte for byte, and all of its claims."""

    subject: str
    claims: Mapping[str, Any]


class BearerTokens:
    """Verifies tokens. Without keys it refuses every one of them."""

    def __init__(self, keys: Mapping[str, jwt.PyJWK], issuer: str | None, audience: str | None) -> None:
        """`keys` by their `kid`; issuer and audience are checked where they are given."""
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._options: Any = {
            "require": ["exp", "sub"],
            "verify_aud": audience is not None,
            # When it was made and what it is called decide nothing: a provider's clock may be a second ahead.
            "verify_iat": False,
            "verify_jti": False,
        }

    @classmethod
    def from_file(cls, path: Path | None, issuer: str | None, audience: str | None) -> "BearerTokens":
        """Read a JWKS file (RFC 7517); None: no keys. Raises JwksError."""
        return cls(_read_jwks(path) if path is not None else {}, issuer, audience)

    def verify(self, token: str) -> Bearer | None:
        """The bearer, or None: bad signature, expired, unknown key, wrong issuer or audience, no usable `sub` …"""
        try:
            # Of the header by itself: the library looks at each byte of a token in Python, and would do it twice.
            header = jwt.get_unverified_header(f"{token.partition('.')[0]}..")
            key = self._keys.get(header.get("kid", ""))
            if key is None:
                return None
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=self._issuer,
                audience=self._audience,
                options=self._options,
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            # The library lets some malformed tokens out as plain errors; all of them are just not credentials.
            return None
        return Bearer(claims["sub"], claims) if isinstance(claims["sub"], str) else None


def _read_jwks(path: Path) -> dict[str, jwt.PyJWK]:
    try:
        document = orjson.loads(path.read_bytes())
    except OSError as error:
        raise JwksError(f"{path} cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise JwksError(f"{path} is not JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise JwksError(f'{path} must be an object with a list of "keys"')
    keys: dict[str, jwt.PyJWK] = {}
    for number, entry in enumerate(document["keys"]):
        kid, key = _read_key(f"{path}, key {number}", entry)
        if kid in keys:
            raise JwksError(f"{path} has two keys with the kid {kid!r}")
        keys[kid] = key
    return keys


def _read_key(where: str, entry: Any) -> tuple[str, jwt.PyJWK]:
    if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str) or not entry["kid"]:
        raise JwksError(f"{where} has no kid")
    # As text: what is a list in the file cannot be looked up in a set.
    if str(entry.get("kty")) not in _KEY_TYPES or str(entry.get("alg")) not in _ALGORITHMS:
        raise JwksError(
            f"{where} ({entry['kid']!r}) needs a kty of {', '.join(sorted(_KEY_TYPES))} and an alg of its own"
        )
    try:
        return entry["kid"], jwt.PyJWK(entry)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise JwksError(f"{where} ({entry['kid']!r}) cannot be used: {error}") from None
