"""The ways of verifying a token that are measured: each takes tokens of one key and accepts valid ones.

All check the signature by the key's one algorithm, `exp`, and that there is a `sub`; the bare primitive checks
nothing but the signature. No other code uses the libraries that stand here for comparison.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any, Final

import jwt
import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt
from joserfc.jwt import JWTClaimsRegistry
from jwcrypto.jwk import JWK
from jwcrypto.jwt import JWT

from claimd.identity.bearer import BearerTokens, TokenRules
from claimd.identity.fresh_keys import FixedKeys
from claimd.identity.jwks import parse_jwks
from claimd.identity.verified import Verified
from loadtest.tokens.signer import Signer

Verify = Callable[[str], object]

_P256_BYTES: Final = 32


class NotAccepted(Exception):
    """A contender rejected a valid token: what it takes means nothing."""


def pyjwt(signer: Signer) -> Verify:
    """PyJWT with the rules that claimd has."""
    key = jwt.PyJWK(signer.jwk, signer.algorithm)
    options: Any = {"require": ["exp", "sub"], "verify_aud": False}

    def verify(token: str) -> object:
        return jwt.decode(token, key, algorithms=[key.algorithm_name], leeway=5, options=options)

    return verify


def joserfc(signer: Signer) -> Verify:
    """Joserfc, with its registry of claims."""
    key = joserfc_jwk.import_key(signer.jwk)
    registry = JWTClaimsRegistry(leeway=5, exp={"essential": True}, sub={"essential": True})

    def verify(token: str) -> object:
        decoded = joserfc_jwt.decode(token, key, algorithms=[signer.algorithm])
        registry.validate(decoded.claims)
        return decoded.claims

    return verify


def jwcrypto(signer: Signer) -> Verify:
    """The JWT class of jwcrypto; the claims that it returns are text."""
    key = JWK(**signer.jwk)

    def verify(token: str) -> object:
        decoded = JWT(jwt=token, key=key, algs=[signer.algorithm], check_claims={"exp": None, "sub": None})
        return decoded.claims

    return verify


def primitive(signer: Signer) -> Verify:
    """The signature by hmac or cryptography, and the payload by orjson; nothing else is looked at."""
    check = _signature_check(signer)

    def verify(token: str) -> object:
        signing_input, _, signature = token.encode().rpartition(b".")
        check(_decoded(signature), signing_input)
        return orjson.loads(_decoded(signing_input.partition(b".")[2]))

    return verify


def _decoded(segment: bytes) -> bytes:
    return base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))


def _signature_check(signer: Signer) -> Callable[[bytes, bytes], None]:
    key: Any = signer.public_key

    def hs256(signature: bytes, signed: bytes) -> None:
        if not hmac.compare_digest(hmac.digest(key, signed, hashlib.sha256), signature):
            raise NotAccepted

    def rs256(signature: bytes, signed: bytes) -> None:
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())

    def es256(signature: bytes, signed: bytes) -> None:
        r, s = (int.from_bytes(half, "big") for half in (signature[:_P256_BYTES], signature[_P256_BYTES:]))
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))

    def eddsa(signature: bytes, signed: bytes) -> None:
        key.verify(signature, signed)

    return {"HS256": hs256, "RS256": rs256, "ES256": es256, "EdDSA": eddsa}[signer.algorithm]


def claimd(signer: Signer) -> Verify:
    """The gateway's verifier. It has seen no token before: the harness makes one for each measurement."""
    jwks = parse_jwks("keys", orjson.dumps({"keys": [signer.jwk]}))
    tokens = BearerTokens(FixedKeys(jwks.keys), TokenRules(), bytes(32), time.time)

    def verify(token: str) -> object:
        verdict = tokens.verify_now(token)
        if not isinstance(verdict, Verified):
            raise NotAccepted
        return verdict

    return verify


CONTENDERS: Final[dict[str, Callable[[Signer], Verify]]] = {
    "bare signature": primitive,
    "claimd": claimd,
    "PyJWT": pyjwt,
    "joserfc": joserfc,
    "jwcrypto": jwcrypto,
}
