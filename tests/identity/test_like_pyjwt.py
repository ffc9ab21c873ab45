"""claimd reads and checks tokens by itself; PyJWT, which it replaces in this, gives the same verdict on each token."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from claimd.identity.bearer import BearerTokens, TokenRules
from claimd.identity.fresh_keys import FixedKeys
from claimd.identity.jwks import parse_jwks
from claimd.identity.unauthenticated import Unauthenticated
from claimd.identity.verified import Verified
from tests.fuzzing import tried
from tests.identity.identity_provider import ALGORITHMS, public_jwk, raw_token

NOW = 1_800_000_000
LEEWAY = 5.0
ISSUERS = ("https://id.example", "https://id.example/v2.0")
KEYS = parse_jwks("keys", json.dumps({"keys": [public_jwk(kid) for kid in ALGORITHMS]}).encode()).keys
REASONS: tuple[tuple[type[jwt.PyJWTError], Unauthenticated], ...] = (
    (jwt.InvalidAlgorithmError, Unauthenticated.WRONG_ALGORITHM),
    (jwt.InvalidSignatureError, Unauthenticated.BAD_SIGNATURE),
    (jwt.ExpiredSignatureError, Unauthenticated.EXPIRED),
    (jwt.ImmatureSignatureError, Unauthenticated.NOT_YET_VALID),
    (jwt.InvalidIssuerError, Unauthenticated.WRONG_ISSUER),
)
MISSING = {
    "exp": Unauthenticated.NO_EXPIRY,
    "sub": Unauthenticated.NO_IDENTITY,
    "iss": Unauthenticated.WRONG_ISSUER,
}


class _Frozen(datetime):
    """The clock of PyJWT, which has no parameter for it."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime.fromtimestamp(NOW, UTC)


@pytest.fixture(autouse=True, scope="module")
def stopped_clock() -> Any:
    """PyJWT takes the time to be NOW."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jwt.api_jwt.datetime", _Frozen)
        yield


def by_pyjwt(text: str) -> dict[str, Any] | Unauthenticated:
    """The claims of the token by PyJWT, or its reason to reject it; NO_IDENTITY also where `sub` is none."""
    try:
        kid = jwt.get_unverified_header(f"{text.partition('.')[0]}..").get("kid")
        key = KEYS.get(kid) if kid else None
        if key is None:
            return Unauthenticated.UNKNOWN_KEY
        options: Any = {"require": ["exp", "sub"], "verify_aud": False, "verify_sub": False, "verify_jti": False}
        claims: dict[str, Any] = jwt.decode(
            text, key, algorithms=[key.algorithm_name], issuer=ISSUERS, leeway=LEEWAY, options=options
        )
    except jwt.MissingRequiredClaimError as error:
        return MISSING[error.claim]
    except jwt.PyJWTError as error:
        return next((reason for kind, reason in REASONS if isinstance(error, kind)), Unauthenticated.MALFORMED)
    except (ValueError, TypeError, OverflowError):
        return Unauthenticated.MALFORMED
    try:
        fits = isinstance(claims["sub"], str) and 1 <= len(claims["sub"].encode()) <= 512
    except UnicodeEncodeError:
        fits = False
    return claims if fits else Unauthenticated.NO_IDENTITY


def by_claimd(text: str) -> dict[str, Any] | Unauthenticated:
    """The claims of the token by claimd, or its reason; asked twice, as the second answer may come from memory."""
    tokens = BearerTokens(FixedKeys(KEYS), TokenRules(ISSUERS, leeway_seconds=LEEWAY), bytes(32), lambda: NOW)
    first, second = tokens.verify_now(text), tokens.verify_now(text)
    assert first == second
    assert first is not None
    if isinstance(first, Verified):
        assert first.subject == first.token_claims["sub"]
        return dict(first.token_claims)
    return first


def assert_alike(text: str) -> dict[str, Any] | Unauthenticated:
    """Both give the same verdict: the same claims, or the same reason."""
    theirs, ours = by_pyjwt(text), by_claimd(text)
    # As text, as NaN is not equal to itself.
    assert repr(ours) == repr(theirs)
    return ours


times: st.SearchStrategy[Any] = (
    st.integers(NOW - 8, NOW + 8)
    | st.sampled_from([NOW + 60, NOW - 60, 0, -1, 2**62, 2**63, 2**64, 2**70, -(2**70), 10**400])
    | st.floats()
    | st.floats(NOW - 8, NOW + 8)
    | st.sampled_from([str(NOW + 60), f" {NOW + 60} ", "1_000", "١٨٠٠٠٠٠٠٩٩", "", "soon", None, True, [], {}, [NOW]])
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
payloads = st.fixed_dictionaries(
    {},
    optional={
        "sub": st.just("ada") | st.text(st.characters(), max_size=520) | values,
        "exp": st.just(NOW + 60) | times,
        "nbf": times,
        "iat": times,
        "iss": st.sampled_from([*ISSUERS, "https://id.example/", list(ISSUERS), None, 1]),
        "aud": values,
        "jti": values,
        "city": values,
    },
)
headers = st.fixed_dictionaries(
    {"alg": st.sampled_from(["HS256"] * 8 + [*ALGORITHMS.values(), "none", "hs256", "", None, 1, ["HS256"]])},
    optional={
        "kid": st.sampled_from(["oct"] * 8 + ["rsa", "stranger", "", None, 1, ["oct"]]),
        "crit": st.sampled_from([[], ["b64"], ["exp"], ["b64", "exp"], "b64", None, [1], {"b64": 1}, [["b64"]]]),
        "b64": st.sampled_from([False, True, None, 0, 1, "false"]),
        "typ": values,
    },
)
good_header = {"alg": "HS256", "kid": "oct", "typ": "JWT"}
good_payload = {"sub": "ada", "exp": NOW + 60, "iss": ISSUERS[0]}


def encoded(document: Any) -> bytes:
    """As JSON; `json.dumps` writes Infinity, NaN and lone surrogates, which strict parsers reject."""
    return json.dumps(document).encode()


@given(payloads)
@tried(400)
@example({**good_payload, "exp": 2**64})
@example({**good_payload, "city": 2**64 + 1})
@example({**good_payload, "nbf": "later", "iat": 2**70})
def test_signed_payloads_have_the_same_verdict(payload: dict[str, Any]) -> None:
    """Whatever the provider signed: missing claims, wrong types, times of every kind, in every combination."""
    assert_alike(raw_token(good_header, encoded(payload)))


@given(payloads)
@tried(100)
def test_payloads_with_a_good_identity_have_the_same_verdict(payload: dict[str, Any]) -> None:
    """With issuer, subject and expiry in order, the rest of the payload decides."""
    assert_alike(raw_token(good_header, encoded({**payload, **good_payload})))


@given(headers)
@tried(300)
def test_signed_headers_have_the_same_verdict(header: dict[str, Any]) -> None:
    """`crit`, `b64`, `kid` and `alg` of any type and value, under a valid signature of the shared secret."""
    assert_alike(raw_token(header, encoded(good_payload)))


@given(st.sampled_from(sorted(ALGORITHMS)), st.data())
@tried(400)
def test_mutated_tokens_have_the_same_verdict(kid: str, data: st.DataObject) -> None:
    """Characters replaced, removed, inserted; dots and padding anywhere; parts of one token in another."""
    text = raw_token({"alg": ALGORITHMS[kid], "kid": kid}, encoded(good_payload), kid)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        piece = data.draw(st.text("AQgw_-+/=.! \n", max_size=3))
        text = text[:at] + piece + text[at + data.draw(st.integers(0, 3)) :]
    assert_alike(text)


@pytest.mark.parametrize("kid", ALGORITHMS)
def test_every_spelling_of_a_signature_has_the_same_verdict(kid: str) -> None:
    """The last character, whose low bits may say nothing, and padding of every length."""
    text = raw_token({"alg": ALGORITHMS[kid], "kid": kid}, encoded(good_payload), kid)
    accepted = []
    for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=":
        for padding in ("", "=", "==", "==="):
            other = text[:-1] + last + padding
            accepted += [other] if isinstance(assert_alike(other), dict) else []
    assert text in accepted
    assert len(accepted) == 2


@pytest.mark.parametrize(
    "payload",
    [
        b'{"sub":"eve","sub":"ada","exp":1900000000,"iss":"https://id.example"}',
        b'{"exp":1,"sub":"ada","exp":1900000000,"iss":"https://id.example"}',
        b'{"exp":1900000000,"sub":"ada","exp":1,"iss":"https://id.example"}',
        b'{"sub":"\\ud800","exp":1900000000,"iss":"https://id.example"}',
        b'{"sub":"ada","exp":1e400,"iss":"https://id.example"}',
        b'{"sub":"ada","exp":1.9e9,"iss":"https://id.example","more":1e400}',
        b'{"sub":"ada","exp":NaN,"iss":"https://id.example"}',
        b'{"sub":"ada","exp":1900000000,"iss":"https://id.example","more":Infinity}',
        b'{"sub":"ada","exp":1900000000,"iss":"https://id.example","more":' + b"[" * 1500 + b"]" * 1500 + b"}",
        b'{"sub":"ada","exp":1900000000,"iss":"https://id.example","more":' + b"9" * 5000 + b"}",
        b'\xef\xbb\xbf{"sub":"ada","exp":1900000000,"iss":"https://id.example"}',
        '{"sub":"ada","exp":1900000000,"iss":"https://id.example"}'.encode("utf-16"),
        b' {"sub":"ada","exp":1900000000,"iss":"https://id.example"}\n',
        b'{"sub":"a\0da","exp":1900000000,"iss":"https://id.example"}',
        b'{"sub":"\xff","exp":1900000000,"iss":"https://id.example"}',
        b'{"sub":"\xed\xa0\x80","exp":1900000000,"iss":"https://id.example"}',
        b'{"sub":"ada","exp":1900000000,"iss":"https://id.example"}{}',
        b"",
    ],
    ids=range(18),
)
def test_json_at_its_edges_has_the_same_verdict(payload: bytes) -> None:
    """Two members of one name (the last counts), numbers without bounds, other encodings, deep nesting."""
    assert_alike(raw_token(good_header, payload))


@given(st.binary(max_size=40))
@tried(100)
def test_any_bytes_as_payload_have_the_same_verdict(payload: bytes) -> None:
    """Signed bytes that are nearly never JSON."""
    assert_alike(raw_token(good_header, payload))


@given(st.binary(max_size=60))
@tried(100)
def test_any_bytes_as_header_have_the_same_verdict(header: bytes) -> None:
    """They name no key, or cannot be read."""
    segment = base64.urlsafe_b64encode(header).rstrip(b"=").decode()
    assert_alike(f"{segment}.e30.e30")


@given(st.text())
@tried(100)
def test_text_that_is_not_ascii_is_rejected_by_both(text: str) -> None:
    """claimd rejects it before it looks for a key, so the reasons may differ."""
    for other in (f"{text}é", raw_token(good_header, encoded(good_payload)) + "é"):
        assert isinstance(by_pyjwt(other), Unauthenticated)
        assert by_claimd(other) is Unauthenticated.MALFORMED
