"""An identity provider for the tests: keys of every kind, their JWKS file, valid and invalid tokens."""

import base64
import functools
import json
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

OCT_SECRET = b"a shared secret that is long enough for every algorithm, so 64 bytes or more"


@functools.cache
def private_key(kid: str) -> Any:
    """The private key for a `kid`; generated once in a process."""
    match kid:
        case "oct":
            return OCT_SECRET
        case "rsa" | "rsa-stranger":
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case "ec":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


ALGORITHMS = {"oct": "HS256", "rsa": "RS256", "ec": "ES256", "okp": "EdDSA"}
_WRITERS: dict[str, Any] = {
    "rsa": jwt.algorithms.RSAAlgorithm,
    "ec": jwt.algorithms.ECAlgorithm,
    "okp": jwt.algorithms.OKPAlgorithm,
}


def public_jwk(kid: str) -> dict[str, Any]:
    """The entry of a JWKS file for a key."""
    if kid == "oct":
        entry = {"kty": "oct", "k": base64.urlsafe_b64encode(OCT_SECRET).rstrip(b"=").decode()}
    else:
        entry = json.loads(_WRITERS[kid].to_jwk(private_key(kid).public_key()))
        entry.pop("key_ops", None)
    return {**entry, "kid": kid, "alg": ALGORITHMS[kid]}


def write_jwks(path: Path, *kids: str) -> Path:
    """Write a JWKS file with the keys `kids`, by default all, and return its path."""
    path.write_text(json.dumps({"keys": [public_jwk(kid) for kid in kids or ALGORITHMS]}))
    return path


def token(sub: Any = "ada", kid: str = "oct", *, without: tuple[str, ...] = (), **claims: Any) -> str:
    """A token that is valid for an hour; `claims` are added to its payload or replace it, `without` removes claims."""
    payload = {"sub": sub, "exp": int(time.time()) + 3600, **claims}
    for name in without:
        del payload[name]
    return raw_token({"alg": ALGORITHMS[kid], "kid": kid, "typ": "JWT"}, json.dumps(payload).encode(), kid)


def raw_token(header: Any, payload: bytes, kid: str = "oct") -> str:
    """A token of any header and payload, signed as the key of `kid` signs; nothing is checked."""
    signing = _segment(json.dumps(header).encode()) + b"." + _segment(payload)
    algorithm: Any = jwt.get_algorithm_by_name(ALGORITHMS[kid])
    return (signing + b"." + _segment(algorithm.sign(signing, algorithm.prepare_key(private_key(kid))))).decode()


def _segment(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
