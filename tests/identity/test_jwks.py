"""JWKS documents: the documents of real identity providers are read; entries that cannot verify are passed over."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from claimd.identity.jwks import JwksError, parse_jwks
from tests.identity.identity_provider import private_key, public_jwk

OCT, RSA, EC, OKP = (public_jwk(kid) for kid in ("oct", "rsa", "ec", "okp"))
# The PEM of a public key, which anyone may have.
PUBLIC_KEY_AS_SECRET = base64.urlsafe_b64encode(
    private_key("rsa").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
).decode()
CERTIFICATE = {"x5c": ["MIICmzCCAYMCBgF"], "x5t": "c2lnbmF0dXJl", "x5t#S256": "c2lnbmF0dXJlMjU2"}


def document(*entries: Any) -> bytes:
    """A JWKS document with these entries."""
    return json.dumps({"keys": entries}).encode()


def without(entry: dict[str, Any], *names: str) -> dict[str, Any]:
    """The entry without those members."""
    return {name: value for name, value in entry.items() if name not in names}


# The shapes in which providers publish their keys, with keys of the tests' own.
PROVIDERS = {
    "Keycloak": (
        document({**RSA, "use": "sig", **CERTIFICATE}, {**RSA, "kid": "enc", "alg": "RSA-OAEP", "use": "enc"}),
        {"rsa": "RS256"},
    ),
    "Entra ID": (
        document(
            *(
                {**without(RSA, "alg"), "kid": kid, "use": "sig", **CERTIFICATE, "issuer": "https://login.example/v2.0"}
                for kid in "ab"
            )
        ),
        {"a": "RS256", "b": "RS256"},
    ),
    "Cognito": (document(*({**RSA, "kid": f"{kid}=", "use": "sig"} for kid in "ab")), {"a=": "RS256", "b=": "RS256"}),
    "Auth0": (
        document({**RSA, "kid": "a", "use": "sig", **CERTIFICATE}, {**RSA, "kid": "b", "use": "sig", **CERTIFICATE}),
        {"a": "RS256", "b": "RS256"},
    ),
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_documents_of_providers_are_read(provider: str) -> None:
    """The result has their signing keys and no others."""
    text, algorithms = PROVIDERS[provider]
    jwks = parse_jwks("keys.json", text)
    assert {kid: key.algorithm_name for kid, key in jwks.keys.items()} == algorithms
    assert len(jwks.passed_over) == (provider == "Keycloak")


def _ec(curve: ec.EllipticCurve) -> dict[str, Any]:
    return {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(curve).public_key())), "kid": "k"}


def _ed448() -> dict[str, Any]:
    public = ed448.Ed448PrivateKey.generate().public_key()
    return {**json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(public)), "kid": "k"}


@pytest.mark.parametrize(
    ("entry", "algorithm"),
    [
        (without(RSA, "alg"), "RS256"),
        ({**RSA, "alg": None}, "RS256"),
        ({**RSA, "alg": "PS512"}, "PS512"),
        (_ec(ec.SECP256R1()), "ES256"),
        (_ec(ec.SECP384R1()), "ES384"),
        (_ec(ec.SECP521R1()), "ES512"),
        (_ec(ec.SECP256K1()), "ES256K"),
        (without(OKP, "alg"), "EdDSA"),
        (_ed448(), "EdDSA"),
        ({**OCT, "alg": "HS512"}, "HS512"),
        ({**RSA, "use": "sig", "key_ops": ["verify"]}, "RS256"),
        ({**RSA, "use": None, "key_ops": None}, "RS256"),
    ],
    ids=range(12),
)
def test_a_key_has_one_algorithm(entry: dict[str, Any], algorithm: str) -> None:
    """The algorithm that it names; if none, the one that its type or curve implies."""
    (key,) = parse_jwks("keys.json", document(entry)).keys.values()
    assert key.algorithm_name == algorithm


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("key", "is no object"),
        (None, "is no object"),
        (without(RSA, "kid"), "has no kid"),
        ({**RSA, "kid": ""}, "has no kid"),
        ({**RSA, "kid": 1}, "has no kid"),
        ({**RSA, "use": "enc"}, "('rsa') is not for signatures"),
        ({**RSA, "use": ["sig"]}, "is not for signatures"),
        ({**RSA, "key_ops": ["encrypt"]}, "is not for verifying"),
        ({**RSA, "key_ops": "verify"}, "is not for verifying"),
        ({**RSA, "alg": "RSA-OAEP"}, "has an alg"),
        ({**RSA, "alg": "none"}, "has an alg"),
        ({**RSA, "alg": ""}, "has an alg"),
        ({**RSA, "alg": ["RS256"]}, "has an alg"),
        ({**RSA, "kty": "AKP"}, "needs a kty"),
        ({**RSA, "kty": ["RSA"]}, "needs a kty"),
        (without(RSA, "kty"), "needs a kty"),
        (without(OCT, "alg"), "needs an alg"),
        ({**OCT, "alg": "RS256"}, "cannot be used"),
        (without(OCT, "k"), "cannot be used"),
        ({**OCT, "k": "é"}, "cannot be used"),
        ({**OCT, "k": 1}, "cannot be used"),
        (without(RSA, "n"), "cannot be used"),
        ({**RSA, "n": "AQAB"}, "cannot be used"),
        ({**EC, "x": "AAAA"}, "cannot be used"),
        ({**EC, "x": 1}, "cannot be used"),
        ({**EC, "alg": "ES384"}, "not its curve's"),
        ({**without(EC, "alg"), "crv": "P-192"}, "curve"),
        ({**without(EC, "alg"), "crv": ["P-256"]}, "curve"),
        ({**OKP, "crv": "X25519"}, "cannot be used"),
        ({**OCT, "k": PUBLIC_KEY_AS_SECRET}, "cannot be used"),
    ],
    ids=range(30),
)
def test_an_entry_that_cannot_verify_is_passed_over(entry: Any, says: str) -> None:
    """The phrase for it has its position, its kid and the reason, and no key; the other keys are usable."""
    jwks = parse_jwks("keys.json", document({**RSA, "kid": "fine"}, entry))
    assert list(jwks.keys) == ["fine"]
    (phrase,) = jwks.passed_over
    assert phrase.startswith("key 1 ")
    assert says in phrase
    assert OCT["k"] not in phrase
    assert RSA["n"] not in phrase


def test_a_document_without_a_key_that_verifies_is_a_document() -> None:
    """Then every token is rejected; the check at the start warns of it."""
    for text in (document(), document({**RSA, "use": "enc"})):
        assert not parse_jwks("keys.json", text).keys


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 5000, "not JSON"),
        (b"[]", "keys"),
        (b"{}", "keys"),
        (b'{"keys": {}}', "keys"),
        (document(OCT, {**RSA, "kid": "oct"}), "two keys"),
    ],
    ids=range(8),
)
def test_a_document_that_cannot_be_used_is_named_with_the_reason(content: bytes, says: str) -> None:
    """The JwksError is one sentence with the location and the reason, and contains no key."""
    with pytest.raises(JwksError) as raised:
        parse_jwks("keys.json", content)
    message = str(raised.value)
    assert message.startswith("keys.json ")
    assert says in message
    assert OCT["k"] not in message


def test_a_repeated_entry_is_one_key() -> None:
    """Two equal entries are no contradiction."""
    assert list(parse_jwks("keys.json", document(OCT, OCT)).keys) == ["oct"]


def test_a_document_may_have_many_keys() -> None:
    """Each is found by its kid."""
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048).public_key()))
    entries = [{**without(public, "key_ops"), "kid": f"k{number}"} for number in range(200)]
    assert len(parse_jwks("keys.json", document(*entries)).keys) == 200
