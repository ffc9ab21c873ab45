"""Keys of an identity provider of the harness's own: the JWKS that signs tokens, and what claimd gets of it."""

import base64
import json
import secrets
from enum import StrEnum
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

_RSA_BITS: Final = 2048
_RSA_EXPONENT: Final = 65537
# Of RFC 7518: the members that only the owner of the key may know; and what the owner's half is for, signing.
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "key_ops"})


class Algorithm(StrEnum):
    """How tokens are signed, by the names of RFC 7518."""

    HS256 = "HS256"
    ES256 = "ES256"
    RS256 = "RS256"


def new_jwks(algorithm: Algorithm = Algorithm.HS256) -> str:
    """A JWKS document with one fresh key that signs tokens; keep it from the program that verifies them."""
    return json.dumps({"keys": [{"alg": str(algorithm), "kid": "loadtest", **_new_key(algorithm)}]})


def public_jwks(signing: str) -> str:
    """The part of a JWKS document that verifies tokens: all of it where the key is symmetric."""
    keys = json.loads(signing)["keys"]
    public = [{name: value for name, value in key.items() if name not in _PRIVATE_MEMBERS} for key in keys]
    return json.dumps({"keys": public})


def _new_key(algorithm: Algorithm) -> dict[str, Any]:
    if algorithm is Algorithm.ES256:
        return ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    if algorithm is Algorithm.RS256:
        return RSAAlgorithm.to_jwk(rsa.generate_private_key(_RSA_EXPONENT, _RSA_BITS), as_dict=True)
    key = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    return {"kty": "oct", "k": key}
