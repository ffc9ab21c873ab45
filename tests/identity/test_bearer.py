"""Bearer tokens: accepted if a key of the JWKS signed them by its own algorithm, and time, issuer and audience fit."""

import base64
import hashlib
import hmac
import json
import re
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from claimd.identity import bearer, compact_tokens
from claimd.identity.bearer import BearerTokens, TokenRules
from claimd.identity.compact_tokens import decode_segment
from claimd.identity.fresh_keys import FixedKeys
from claimd.identity.jwks import parse_jwks
from claimd.identity.keys import identity_digest
from claimd.identity.unauthenticated import Unauthenticated
from claimd.identity.verified import Verified
from tests.identity.identity_provider import (
    ALGORITHMS,
    OCT_SECRET,
    private_key,
    public_jwk,
    raw_token,
    token,
    write_jwks,
)

IDENTITY_KEY = b"i" * 32


@pytest.fixture(scope="module")
def jwks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JWKS file with a key of each kind."""
    return write_jwks(tmp_path_factory.mktemp("jwks") / "jwks.json")


def with_rules(jwks: Path, **rules: Any) -> BearerTokens:
    """A verifier with the keys of that file and these rules."""
    return BearerTokens(
        FixedKeys(parse_jwks(str(jwks), jwks.read_bytes()).keys), TokenRules(**rules), IDENTITY_KEY, time.time
    )


@pytest.fixture(scope="module")
def tokens(jwks: Path) -> BearerTokens:
    """A verifier that accepts any issuer and audience."""
    return with_rules(jwks)


def verdict(tokens: BearerTokens, text: str) -> Verified | Unauthenticated:
    """The result of `verify_now` with fixed keys, for which it never waits."""
    result = tokens.verify_now(text)
    assert result is not None
    return result


def with_claim(name: str, value: Any) -> str:
    """A valid token of `x` in which one claim is replaced or added."""
    claims: dict[str, Any] = {"sub": "x", name: value}
    return token(**claims)


def bearer_of(tokens: BearerTokens, text: str) -> Verified | None:
    """The bearer of a token, or None where it is rejected."""
    result = verdict(tokens, text)
    return result if isinstance(result, Verified) else None


def _segment(document: Any) -> str:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _hmac_signed(header: Any, payload: Any, key: bytes) -> str:
    signing = f"{_segment(header)}.{_segment(payload)}"
    return f"{signing}.{_segment(hmac.digest(key, signing.encode(), hashlib.sha256))}"


def _in_an_hour() -> int:
    return int(time.time()) + 3600


@pytest.mark.parametrize("kid", ALGORITHMS)
def test_a_token_of_each_kind_of_key_is_accepted(tokens: BearerTokens, kid: str) -> None:
    """HS256, RS256, ES256 and EdDSA tokens are verified; the bearer has their claims."""
    verified = bearer_of(tokens, token("ada", kid, city="hangzhou"))
    assert verified is not None
    assert verified.subject == "ada"
    assert verified.token_claims["city"] == "hangzhou"


@pytest.mark.parametrize("kid", ALGORITHMS)
def test_a_changed_payload_is_rejected(tokens: BearerTokens, kid: str) -> None:
    """A signature is valid for its own payload only."""
    head, _, signature = token("ada", kid).split(".")
    assert bearer_of(tokens, f"{head}.{_segment({'sub': 'eve', 'exp': _in_an_hour()})}.{signature}") is None


@pytest.mark.parametrize("kid", ALGORITHMS)
def test_a_token_without_a_signature_is_rejected(tokens: BearerTokens, kid: str) -> None:
    """The algorithm `none`, in any spelling, and an empty signature are rejected."""
    payload = _segment({"sub": "ada", "exp": _in_an_hour()})
    for algorithm in ("none", "None", "NONE", "", ALGORITHMS[kid]):
        header = _segment({"alg": algorithm, "kid": kid})
        assert bearer_of(tokens, f"{header}.{payload}.") is None
        assert bearer_of(tokens, f"{header}.{payload}") is None


@pytest.mark.parametrize(
    "encoding", [(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), (Encoding.DER, PublicFormat.PKCS1)]
)
def test_a_public_key_is_no_shared_secret(tokens: BearerTokens, encoding: tuple[Encoding, PublicFormat]) -> None:
    """HS256 signed with the RSA public key, which is public, is rejected: the key determines the algorithm."""
    public = private_key("rsa").public_key().public_bytes(*encoding)
    payload = {"sub": "ada", "exp": _in_an_hour()}
    assert bearer_of(tokens, _hmac_signed({"alg": "HS256", "kid": "rsa"}, payload, public)) is None
    # The same construction with the true secret is accepted, so the key is what was rejected.
    assert bearer_of(tokens, _hmac_signed({"alg": "HS256", "kid": "oct"}, payload, OCT_SECRET)) is not None


@pytest.mark.parametrize(
    "algorithm", ["RS512", "PS256", "ES256", "HS256", "HS384", "EdDSA", "none", "nonsense", None, 1]
)
def test_another_algorithm_than_the_keys_is_rejected(tokens: BearerTokens, algorithm: Any) -> None:
    """The algorithm in the header never decides."""
    payload = json.dumps({"sub": "ada", "exp": _in_an_hour()}).encode()
    assert bearer_of(tokens, raw_token({"alg": algorithm, "kid": "rsa"}, payload, "rsa")) is None


@pytest.mark.parametrize(
    ("kid", "algorithm"),
    [("rsa", "RS384"), ("rsa", "RS512"), ("rsa", "PS256"), ("rsa", "PS512"), ("oct", "HS384"), ("oct", "HS512")],
)
def test_a_right_signature_of_another_algorithm_is_rejected(tokens: BearerTokens, kid: str, algorithm: str) -> None:
    """Signed with the right key, but not by the algorithm that the JWKS has for it."""
    payload = {"sub": "ada", "exp": _in_an_hour()}
    signed = jwt.encode(payload, private_key(kid), algorithm, headers={"kid": kid})
    assert bearer_of(tokens, signed) is None
    usual = jwt.encode(payload, private_key(kid), ALGORITHMS[kid], headers={"kid": kid})
    assert bearer_of(tokens, usual) is not None


@pytest.mark.parametrize("kid", ["stranger", "", None, 1, ["oct"], {"oct": 1}, "OCT", "oct "])
def test_an_unknown_key_is_rejected(tokens: BearerTokens, kid: Any) -> None:
    """A `kid` that is not in the JWKS, or is no string, has no key."""
    payload = json.dumps({"sub": "ada", "exp": _in_an_hour()}).encode()
    assert bearer_of(tokens, raw_token({"alg": "HS256", "kid": kid}, payload)) is None


def test_a_token_without_a_kid_is_rejected(tokens: BearerTokens) -> None:
    """The verifier does not try the keys one by one."""
    payload = json.dumps({"sub": "ada", "exp": _in_an_hour()}).encode()
    assert bearer_of(tokens, raw_token({"alg": "HS256"}, payload)) is None


def test_the_same_kid_with_a_foreign_key_is_rejected(tokens: BearerTokens) -> None:
    """An attacker may give a key the same `kid`, but cannot sign with the key of the JWKS."""
    payload = {"sub": "ada", "exp": _in_an_hour()}
    assert bearer_of(tokens, _hmac_signed({"alg": "HS256", "kid": "oct"}, payload, b"x" * 40)) is None


@pytest.mark.parametrize(
    "claims",
    [
        {"without": ("exp",)},
        {"exp": 0},
        {"exp": int(time.time()) - 6},
        {"exp": "soon"},
        {"exp": None},
        {"exp": [2**40]},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"nbf": int(time.time()) + 3600},
        {"nbf": "later"},
        {"iat": int(time.time()) + 3600},
        {"iat": "?"},
    ],
    # Named by position: values depend on the time, and every test process must have the same names.
    ids=range(12),
)
def test_a_token_out_of_its_time_is_rejected(tokens: BearerTokens, claims: dict[str, Any]) -> None:
    """`exp` is required, must be a number and in the future; `nbf` and `iat` must not be in the future."""
    assert bearer_of(tokens, token("ada", **claims)) is None


def test_issuer_and_audience_are_checked_where_they_are_set(jwks: Path) -> None:
    """The issuer must be equal, the audience among those of the token; a missing one is wrong."""
    strict = with_rules(jwks, issuers=("https://id.example",), audiences=("claimd",))
    assert bearer_of(strict, token(iss="https://id.example", aud="claimd")) is not None
    assert bearer_of(strict, token(iss="https://id.example", aud=["other", "claimd"])) is not None
    for claims in (
        {},
        {"iss": "https://id.example"},
        {"aud": "claimd"},
        {"iss": "https://id.example/", "aud": "claimd"},
        {"iss": ["https://id.example"], "aud": "claimd"},
        {"iss": "https://id.example", "aud": "claim"},
        {"iss": "https://id.example", "aud": "Claimd"},
        {"iss": "https://id.example", "aud": []},
        {"iss": "https://id.example", "aud": [1]},
        {"iss": "https://id.example", "aud": 1},
    ):
        assert bearer_of(strict, token(**claims)) is None, claims


def test_issuer_and_audience_are_not_checked_where_they_are_not_set(tokens: BearerTokens) -> None:
    """Without these settings any value, or none, is accepted."""
    assert bearer_of(tokens, token(iss="https://anyone.example", aud="anything")) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "a.b.c.d.e",
        "é.é.é",
        "\ud800.b.c",
        "\0",
        f"{_segment(b'not json')}.e30.e30",
        f"{_segment([])}.e30.e30",
        f"{_segment('text')}.e30.e30",
        f"{_segment(None)}.e30.e30",
        f"{_segment(b'[' * 5000)}.e30.e30",
        f"{_segment(b'9' * 5000)}.e30.e30",
        f"{_segment(bytes([0xFF, 0xFE]))}.e30.e30",
        f"{_segment({'alg': 'HS256', 'kid': 'oct', 'crit': ['exp']})}.e30.e30",
        f"{_segment({'alg': 'HS256', 'kid': 'oct', 'b64': False})}.e30.e30",
    ],
    ids=lambda text: repr(text)[:24],
)
def test_garbage_has_no_bearer(tokens: BearerTokens, text: str) -> None:
    """Text that is no token is rejected, without an exception."""
    assert bearer_of(tokens, text) is None


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"1", b'"ada"', b"null", b"{", b"[" * 20_000, b"9" * 5000, b"\xff\xfe"]
)
def test_a_signed_payload_that_is_no_object_is_rejected(tokens: BearerTokens, payload: bytes) -> None:
    """Not even with a valid signature of the provider."""
    assert bearer_of(tokens, raw_token({"alg": "HS256", "kid": "oct"}, payload)) is None


@given(
    st.one_of(
        st.text(),
        st.text("ab0-_.=é\ud800"),
        st.lists(st.binary(), max_size=5).map(lambda p: ".".join(map(_segment, p))),
    )
)
def test_no_text_raises(tokens: BearerTokens, text: str) -> None:
    """Any text is rejected with a reason."""
    assert bearer_of(tokens, text) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["alg", "kid", "crit", "typ", "b64"]) | st.text(), inner)
        ),
        max_leaves=8,
    )
)
def test_no_header_raises(tokens: BearerTokens, header: Any) -> None:
    """Any JSON as the header of an otherwise valid payload is rejected with a reason."""
    payload = {"sub": "ada", "exp": _in_an_hour()}
    assert bearer_of(tokens, _hmac_signed(header, payload, b"x" * 32)) is None


def test_without_a_jwks_every_token_is_rejected() -> None:
    """The reason is NOT_ACCEPTED."""
    assert verdict(BearerTokens(None, TokenRules(), IDENTITY_KEY, time.time), token()) is Unauthenticated.NOT_ACCEPTED


def test_the_id_of_a_token_is_not_checked(tokens: BearerTokens) -> None:
    """A `jti` of any type is accepted."""
    assert bearer_of(tokens, token(jti=7)) is not None


@pytest.mark.parametrize("leeway", [0, 5, 60])
@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_one_leeway_for_every_time(jwks: Path, name: str, leeway: int) -> None:
    """The clock of a provider may be off by up to the leeway, in either direction."""
    tokens = with_rules(jwks, leeway_seconds=leeway)
    sign = -1 if name == "exp" else 1
    now = int(time.time())
    if leeway:
        assert bearer_of(tokens, with_claim(name, now + sign * (leeway - 3))) is not None
    wrong = verdict(tokens, with_claim(name, now + sign * (leeway + 30)))
    assert wrong is (Unauthenticated.EXPIRED if name == "exp" else Unauthenticated.NOT_YET_VALID)


def test_any_of_several_issuers_and_audiences(jwks: Path) -> None:
    """Entra ID has two spellings of its issuer; an app and a web page have different audiences."""
    tokens = with_rules(jwks, issuers=("https://a.example/v2.0", "https://b.example/"), audiences=("app", "web"))
    for issuer in ("https://a.example/v2.0", "https://b.example/"):
        for audience in ("app", "web", ["other", "web"]):
            assert bearer_of(tokens, token(iss=issuer, aud=audience)) is not None
    assert verdict(tokens, token(iss="https://b.example", aud="app")) is Unauthenticated.WRONG_ISSUER
    assert verdict(tokens, token(iss="https://b.example/", aud="ap")) is Unauthenticated.WRONG_AUDIENCE
    assert verdict(tokens, token(iss="https://b.example/", aud="app,web")) is Unauthenticated.WRONG_AUDIENCE


def test_a_client_id_replaces_a_missing_audience(jwks: Path) -> None:
    """Access tokens of Cognito have it instead of `aud`; where there is an `aud`, it is ignored."""
    tokens = with_rules(jwks, audiences=("1h57kf5cpq17m0eml12EXAMPLE",))
    assert bearer_of(tokens, token(client_id="1h57kf5cpq17m0eml12EXAMPLE", token_use="access")) is not None
    cases: tuple[dict[str, Any], ...] = (
        {"client_id": "other"},
        {"client_id": ["1h57kf5cpq17m0eml12EXAMPLE", 1]},
        {"client_id": "1h57kf5cpq17m0eml12EXAMPLE", "aud": "other"},
        {"client_id": "1h57kf5cpq17m0eml12EXAMPLE", "aud": []},
        {"client_id": "1h57kf5cpq17m0eml12EXAMPLE", "aud": None},
    )
    for claims in cases:
        assert verdict(tokens, token(**claims)) is Unauthenticated.WRONG_AUDIENCE, claims


def test_another_claim_may_name_the_person(jwks: Path) -> None:
    """`oid` (Entra ID) identifies the same person in every app, with any `sub` and without one."""
    tokens = with_rules(jwks, identity="oid")
    subjects = [bearer_of(tokens, token(sub, oid="person-7")) for sub in ("app-1", "app-2", 5)]
    assert [verified and verified.subject for verified in subjects] == ["person-7"] * 3
    assert bearer_of(tokens, token(without=("sub",), oid="person-7")) is not None
    assert verdict(tokens, token("app-1")) is Unauthenticated.NO_IDENTITY
    assert verdict(tokens, token("app-1", without=("exp",), oid="person-7")) is Unauthenticated.NO_EXPIRY


@pytest.mark.parametrize("name", ["sub", "oid", "https://city.example/person"])
def test_an_identity_is_a_string_of_1_to_512_bytes(jwks: Path, name: str) -> None:
    """Any claim may be the identity; it is used byte for byte. `sub` is required only where it is the identity."""
    tokens = with_rules(jwks, identity=name)
    value: Any
    for value in ("a", "A", " a", "a ", "é", "e\u0301", "a\0b", "a" * 512, "é" * 256):
        verified = bearer_of(tokens, with_claim(name, value))
        assert verified is not None
        assert verified.subject == value
    for value in (None, "", 1, 1.5, True, ["a"], {"a": 1}, "\ud800", "a" * 513, "é" * 257):
        assert verdict(tokens, with_claim(name, value)) is Unauthenticated.NO_IDENTITY
    assert verdict(tokens, token(without=("sub",))) is Unauthenticated.NO_IDENTITY


def test_each_rejection_has_its_reason(jwks: Path) -> None:
    """The reasons distinguish a failed rotation, a wrong setting and a wrong clock."""
    tokens = with_rules(jwks, issuers=("https://id.example",), audiences=("claimd",))
    fine: dict[str, Any] = {"iss": "https://id.example", "aud": "claimd"}
    payload = json.dumps({"sub": "ada", "exp": _in_an_hour(), **fine}).encode()
    good = token(**fine)
    assert bearer_of(tokens, good) is not None
    assert {
        reason: verdict(tokens, text)
        for reason, text in {
            "malformed": "a.b.c",
            "unknown_key": raw_token({"alg": "HS256", "kid": "stranger"}, payload),
            "wrong_algorithm": raw_token({"alg": "HS512", "kid": "oct"}, payload),
            "bad_signature": good[:-8] + "AAAAAAAA",
            "expired": token(**fine, exp=1),
            "not_yet_valid": token(**fine, nbf=2**33),
            "wrong_issuer": token(aud="claimd"),
            "wrong_audience": token(iss="https://id.example"),
            "no_expiry": token(**fine, without=("exp",)),
            "no_identity": token(**fine, without=("sub",)),
        }.items()
    } == {
        reason.value: reason
        for reason in Unauthenticated
        if reason not in (Unauthenticated.NO_CREDENTIALS, Unauthenticated.NOT_ACCEPTED, Unauthenticated.OUTDATED)
    }


def test_a_reason_fits_into_a_header() -> None:
    """RFC 6750, section 3: an error_description has no quotation mark and no backslash."""
    for reason in Unauthenticated:
        assert re.fullmatch(r"[ !#-\[\]-~]+", reason.sentence)


@pytest.mark.parametrize("kid", ALGORITHMS)
def test_every_changed_character_breaks_a_token(tokens: BearerTokens, kid: str) -> None:
    """A character that is replaced, removed or doubled is noticed, unless the token still decodes to the same bytes."""
    text = token("ada", kid)
    for at in range(len(text)):
        for other in (text[:at] + "A" + text[at + 1 :], text[:at] + text[at + 1 :], text[:at] + text[at] + text[at:]):
            verified = bearer_of(tokens, other)
            assert verified is None or other == text or verified == bearer_of(tokens, text)


@pytest.mark.parametrize(
    "more",
    [
        {"crit": ["exp"]},
        {"crit": ["unheard-of"], "unheard-of": 1},
        {"crit": []},
        {"crit": "b64"},
        {"b64": False},
        {"b64": False, "crit": ["b64"]},
    ],
    ids=str,
)
def test_a_signed_header_with_unknown_extensions_is_rejected(tokens: BearerTokens, more: dict[str, Any]) -> None:
    """RFC 7515, section 4.1.11 (crit), and RFC 7797 (b64): not even with a valid signature of the provider."""
    payload = json.dumps({"sub": "ada", "exp": _in_an_hour()}).encode()
    assert bearer_of(tokens, raw_token({"alg": "HS256", "kid": "oct"}, payload)) is not None
    assert bearer_of(tokens, raw_token({"alg": "HS256", "kid": "oct", **more}, payload)) is None


def test_a_key_in_the_token_is_not_used(tokens: BearerTokens) -> None:
    """`jwk`, `jku`, `x5u` and `x5c` are unverified input: the signature is checked with the key of the JWKS."""
    brought = {"jwk": {**public_jwk("oct"), "k": _segment(b"x" * 40)}, "jku": "http://127.0.0.1/", "x5c": ["AAAA"]}
    payload = {"sub": "ada", "exp": _in_an_hour()}
    header = {"alg": "HS256", "kid": "oct", **brought}
    assert bearer_of(tokens, _hmac_signed(header, payload, b"x" * 40)) is None
    assert bearer_of(tokens, _hmac_signed(header, payload, OCT_SECRET)) is not None


def test_a_token_without_a_known_key_is_not_decoded(tokens: BearerTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of 8 KiB with an unknown `kid` is rejected by its header alone."""
    seen: list[bytes] = []

    def noted(segment: bytes) -> bytes:
        seen.append(segment)
        return decode_segment(segment)

    monkeypatch.setattr(compact_tokens, "decode_segment", noted)
    monkeypatch.setattr(bearer, "decode_segment", None)
    header = _segment({"alg": "HS256", "kid": "stranger"})
    assert bearer_of(tokens, f"{header}.{_segment(b'x' * 5000)}.{_segment(b'y' * 32)}") is None
    assert seen == [header.encode()]


async def test_the_verdict_is_the_same_with_and_without_waiting(tokens: BearerTokens) -> None:
    """With keys that are settled, `verify_token` returns what `verify_now` returns; the digest is the subject's."""
    for text in (token("ada"), token("ada", exp=1), "a.b.c", "", raw_token({"alg": "HS256", "kid": "stranger"}, b"{}")):
        assert await tokens.verify_token(text) == tokens.verify_now(text)
    verified = bearer_of(tokens, token("ada"))
    assert verified is not None
    assert verified.identity == identity_digest(IDENTITY_KEY, "ada")
