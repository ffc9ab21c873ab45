"""An identity provider with one key of an algorithm, for measuring: its JWKS entry, and valid tokens."""

import base64
import json
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ALGORITHMS: Final = ("HS256", "RS256", "ES256", "EdDSA")
_KID: Final = "measured"
_HOUR_SECONDS: Final = 3600


class Signer:
    """Signs tokens with a fresh key of one of ALGORITHMS. `public_key` is the secret itself for HS256."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self._key, self.public_key, entry = _MAKERS[algorithm]()
        self.jwk: dict[str, Any] = {**entry, "kid": _KID, "alg": algorithm}

    def token(self, sub: str) -> str:
        """A token of the usual claims, about 330 characters before the signature, valid for an hour."""
        now = int(time.time())
        claims = {
            "iss": "https://id.example/realms/city",
            "aud": "claimd",
            "sub": sub,
            "iat": now,
            "exp": now + _HOUR_SECONDS,
            "jti": secrets.token_hex(16),
            "azp": "app",
            "scope": "openid profile",
            "district": "xihu",
        }
        return jwt.encode(claims, self._key, self.algorithm, headers={"kid": _KID})


def _shared_secret() -> tuple[Any, Any, dict[str, Any]]:
    secret = secrets.token_bytes(32)
    return secret, secret, {"kty": "oct", "k": base64.urlsafe_b64encode(secret).rstrip(b"=").decode()}


def _rsa() -> tuple[Any, Any, dict[str, Any]]:
    key = rsa.generate_private_key(65537, 2048)
    return key, key.public_key(), _published(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))


def _p256() -> tuple[Any, Any, dict[str, Any]]:
    key = ec.generate_private_key(ec.SECP256R1())
    return key, key.public_key(), _published(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))


def _ed25519() -> tuple[Any, Any, dict[str, Any]]:
    key = ed25519.Ed25519PrivateKey.generate()
    return key, key.public_key(), _published(jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key()))


def _published(entry: str) -> dict[str, Any]:
    return {name: value for name, value in json.loads(entry).items() if name != "key_ops"}


_MAKERS: Final[dict[str, Callable[[], tuple[Any, Any, dict[str, Any]]]]] = {
    "HS256": _shared_secret,
    "RS256": _rsa,
    "ES256": _p256,
    "EdDSA": _ed25519,
}
