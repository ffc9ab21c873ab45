"""Bearer tokens: what a key of the provider signed, with that key's algorithm, in time and for us, has a bearer."""

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

from claimd.identity.bearer import Bearer, BearerTokens, TokenRules
from claimd.identity.fresh_keys import FixedKeys
from claimd.identity.jwks import parse_jwks
from claimd.identity.unauthenticated import Unauthenticated
from tests.identity.identity_provider import (
    ALGORITHMS,
    OCT_SECRET,
    private_key,
    public_jwk,
    raw_token,
    token,
    write_jwks,
)


@pytest.fixture(scope="module")
def jwks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key of each kind."""
    return write_jwks(tmp_path_factory.mktemp("jwks") / "jwks.json")


def with_rules(jwks: Path, **rules: Any) -> BearerTokens:
    """Tokens that keys of that file signed, and that keep these rules."""
    return BearerTokens(FixedKeys(parse_jwks(str(jwks), jwks.read_bytes()).keys), TokenRules(**rules))


@pytest.fixture(scope="module")
def tokens(jwks: Path) -> BearerTokens:
    """Tokens of any issuer for any audience."""
    return with_rules(jwks)


def verdict(tokens: BearerTokens, text: str) -> Bearer | Unauthenticated:
    """What is said of a token, where nothing has to be waited for."""
    asking = tokens.verify_token(text)
    try:
        asking.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


def bearer_of(tokens: BearerTokens, text: str) -> Bearer | None:
    """The bearer of a token, if it has one."""
    said = verdict(tokens, text)
    return said if isinstance(said, Bearer) else None


def _segment(document: Any) -> str:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _hmac_signed(header: Any, payload: Any, key: bytes) -> str:
    signing = f"{_segment(header)}.{_segment(payload)}"
    return f"{signing}.{_segment(hmac.digest(key, signing.encode(), hashlib.sha256))}"


def _in_an_hour() -> int:
    return int(time.time()) + 3600


@pytest.mark.parametrize("kid", ALGORITHMS)
def test_a_token_of_each_kind_of_key_is_good(tokens: BearerTokens, kid: str) -> None:
    """HS256, RS256, ES256 and EdDSA tokens are verified, and their claims handed on."""
    bearer = bearer_of(tokens, token("ada", kid, city="hangzhou"))
    assert bearer is not None
    assert bearer.subject == "ada"
    assert bearer.token_claims["city"] == "hangzhou"


@pytest.mark.parametrize("kid", ALGORITHMS)
def test_a_changed_payload_is_refused(tokens: BearerTokens, kid: str) -> None:
    """A signature holds for its own payload only."""
    head, _, signature = token("ada", kid).split(".")
    assert bearer_of(tokens, f"{head}.{_segment({'sub': 'eve', 'exp': _in_an_hour()})}.{signature}") is None


@pytest.mark.parametrize("kid", ALGORITHMS)
def test_a_token_without_a_signature_is_refused(tokens: BearerTokens, kid: str) -> None:
    """`none`, however it is spelled, and an absent signature are no signature."""
    payload = _segment({"sub": "ada", "exp": _in_an_hour()})
    for algorithm in ("none", "None", "NONE", "", ALGORITHMS[kid]):
        header = _segment({"alg": algorithm, "kid": kid})
        assert bearer_of(tokens, f"{header}.{payload}.") is None
        assert bearer_of(tokens, f"{header}.{payload}") is None


@pytest.mark.parametrize(
    "encoding", [(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), (Encoding.DER, PublicFormat.PKCS1)]
)
def test_a_public_key_is_no_shared_secret(tokens: BearerTokens, encoding: tuple[Encoding, PublicFormat]) -> None:
    """HS256 signed with the RSA public key, which everybody has, is refused: the key decides the algorithm."""
    public = private_key("rsa").public_key().public_bytes(*encoding)
    payload = {"sub": "ada", "exp": _in_an_hour()}
    assert bearer_of(tokens, _hmac_signed({"alg": "HS256", "kid": "rsa"}, payload, public)) is None
    # The same by hand with the true secret is good: it is not the making of it that was refused.
    assert bearer_of(tokens, _hmac_signed({"alg": "HS256", "kid": "oct"}, payload, OCT_SECRET)) is not None


@pytest.mark.parametrize(
    "algorithm", ["RS512", "PS256", "ES256", "HS256", "HS384", "EdDSA", "none", "nonsense", None, 1]
)
def test_another_algorithm_than_the_keys_is_refused(tokens: BearerTokens, algorithm: Any) -> None:
    """What the header says of its algorithm is never believed."""
    payload = json.dumps({"sub": "ada", "exp": _in_an_hour()}).encode()
    assert bearer_of(tokens, raw_token({"alg": algorithm, "kid": "rsa"}, payload, "rsa")) is None


@pytest.mark.parametrize(
    ("kid", "algorithm"),
    [("rsa", "RS384"), ("rsa", "RS512"), ("rsa", "PS256"), ("rsa", "PS512"), ("oct", "HS384"), ("oct", "HS512")],
)
def test_a_right_signature_of_another_algorithm_is_refused(tokens: BearerTokens, kid: str, algorithm: str) -> None:
    """Signed with the very key, but not as the file says that this key signs."""
    payload = {"sub": "ada", "exp": _in_an_hour()}
    signed = jwt.encode(payload, private_key(kid), algorithm, headers={"kid": kid})
    assert bearer_of(tokens, signed) is None
    usual = jwt.encode(payload, private_key(kid), ALGORITHMS[kid], headers={"kid": kid})
    assert bearer_of(tokens, usual) is not None


@pytest.mark.parametrize("kid", ["stranger", "", None, 1, ["oct"], {"oct": 1}, "OCT", "oct "])
def test_an_unknown_key_is_refused(tokens: BearerTokens, kid: Any) -> None:
    """A `kid` that is not in the file, or is no text at all, has no key."""
    payload = json.dumps({"sub": "ada", "exp": _in_an_hour()}).encode()
    assert bearer_of(tokens, raw_token({"alg": "HS256", "kid": kid}, payload)) is None


def test_a_token_without_a_kid_is_refused(tokens: BearerTokens) -> None:
    """No key is tried by chance."""
    payload = json.dumps({"sub": "ada", "exp": _in_an_hour()}).encode()
    assert bearer_of(tokens, raw_token({"alg": "HS256"}, payload)) is None


def test_the_same_kid_of_a_strangers_key_is_refused(tokens: BearerTokens) -> None:
    """A stranger may call a key as ours is called, but cannot sign with ours."""
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
    # Not by value: every test process must name them alike.
    ids=range(12),
)
def test_a_token_out_of_its_time_is_refused(tokens: BearerTokens, claims: dict[str, Any]) -> None:
    """It must say when it expires, in a number, and that must be in the future."""
    assert bearer_of(tokens, token("ada", **claims)) is None


def test_issuer_and_audience_are_checked_where_they_are_set(jwks: Path) -> None:
    """Exactly the issuer, and the audience among those of the token; missing is wrong."""
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
    """Without the settings a token may name any of them."""
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
    """What is no token is refused and nothing is raised."""
    assert bearer_of(tokens, text) is None


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"1", b'"ada"', b"null", b"{", b"[" * 20_000, b"9" * 5000, b"\xff\xfe"]
)
def test_a_signed_payload_that_is_no_object_is_refused(tokens: BearerTokens, payload: bytes) -> None:
    """Even the provider's own signature does not make it a token."""
    assert bearer_of(tokens, raw_token({"alg": "HS256", "kid": "oct"}, payload)) is None


@given(
    st.one_of(
        st.text(),
        st.text("ab0-_.=é\ud800"),
        st.lists(st.binary(), max_size=5).map(lambda p: ".".join(map(_segment, p))),
    )
)
def test_nothing_that_is_shown_as_a_token_raises(tokens: BearerTokens, text: str) -> None:
    """Any text at all is answered by None."""
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
    """A header of any JSON, over a payload that would be good, is answered by None."""
    payload = {"sub": "ada", "exp": _in_an_hour()}
    assert bearer_of(tokens, _hmac_signed(header, payload, b"x" * 32)) is None


def test_without_a_file_every_token_is_refused() -> None:
    """No keys, no bearers."""
    assert verdict(BearerTokens(None, TokenRules()), token()) is Unauthenticated.NOT_ACCEPTED


def test_what_a_token_is_called_decides_nothing(tokens: BearerTokens) -> None:
    """A `jti` of any kind."""
    assert bearer_of(tokens, token(jti=7)) is not None


@pytest.mark.parametrize("leeway", [0, 5, 60])
@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_one_leeway_for_every_time(jwks: Path, name: str, leeway: int) -> None:
    """A provider's clock may be off by so many seconds, in either direction, and by no more."""
    tokens = with_rules(jwks, leeway_seconds=leeway)
    sign = -1 if name == "exp" else 1
    now = int(time.time())
    if leeway:
        assert bearer_of(tokens, token(**{name: now + sign * (leeway - 3)})) is not None
    wrong = verdict(tokens, token(**{name: now + sign * (leeway + 30)}))
    assert wrong is (Unauthenticated.EXPIRED if name == "exp" else Unauthenticated.NOT_YET_VALID)


def test_any_of_several_issuers_and_audiences(jwks: Path) -> None:
    """Entra ID spells its issuer in two ways, and an app and a web page have an audience each."""
    tokens = with_rules(jwks, issuers=("https://a.example/v2.0", "https://b.example/"), audiences=("app", "web"))
    for issuer in ("https://a.example/v2.0", "https://b.example/"):
        for audience in ("app", "web", ["other", "web"]):
            assert bearer_of(tokens, token(iss=issuer, aud=audience)) is not None
    assert verdict(tokens, token(iss="https://b.example", aud="app")) is Unauthenticated.WRONG_ISSUER
    assert verdict(tokens, token(iss="https://b.example/", aud="ap")) is Unauthenticated.WRONG_AUDIENCE
    assert verdict(tokens, token(iss="https://b.example/", aud="app,web")) is Unauthenticated.WRONG_AUDIENCE


def test_a_client_id_stands_for_a_missing_audience(jwks: Path) -> None:
    """Access tokens of Cognito have it instead of `aud`; beside an `aud` it decides nothing."""
    tokens = with_rules(jwks, audiences=("1h57kf5cpq17m0eml12EXAMPLE",))
    assert bearer_of(tokens, token(client_id="1h57kf5cpq17m0eml12EXAMPLE", token_use="access")) is not None
    for claims in (
        {"client_id": "other"},
        {"client_id": ["1h57kf5cpq17m0eml12EXAMPLE", 1]},
        {"client_id": "1h57kf5cpq17m0eml12EXAMPLE", "aud": "other"},
        {"client_id": "1h57kf5cpq17m0eml12EXAMPLE", "aud": []},
        {"client_id": "1h57kf5cpq17m0eml12EXAMPLE", "aud": None},
    ):
        assert verdict(tokens, token(**claims)) is Unauthenticated.WRONG_AUDIENCE, claims


def test_another_claim_may_name_the_person(jwks: Path) -> None:
    """With `oid` (Entra ID) it is the same person in every app, whatever the `sub` there, and also without one."""
    tokens = with_rules(jwks, identity="oid")
    subjects = [bearer_of(tokens, token(sub, oid="person-7")) for sub in ("app-1", "app-2", 5)]
    assert [bearer and bearer.subject for bearer in subjects] == ["person-7"] * 3
    assert bearer_of(tokens, token(without=("sub",), oid="person-7")) is not None
    assert verdict(tokens, token("app-1")) is Unauthenticated.NO_IDENTITY
    assert verdict(tokens, token("app-1", without=("exp",), oid="person-7")) is Unauthenticated.NO_EXPIRY


@pytest.mark.parametrize("name", ["sub", "oid", "https://city.example/person"])
def test_an_identity_is_a_string_of_1_to_512_bytes(jwks: Path, name: str) -> None:
    """Whichever claim it is, byte for byte and never repaired; `sub` is required where it names the person."""
    tokens = with_rules(jwks, identity=name)
    for value in ("a", "A", " a", "a ", "é", "e\u0301", "a\0b", "a" * 512, "é" * 256):
        bearer = bearer_of(tokens, token(**{"sub": "x", name: value}))
        assert bearer is not None
        assert bearer.subject == value
    for value in (None, "", 1, 1.5, True, ["a"], {"a": 1}, "\ud800", "a" * 513, "é" * 257):
        assert verdict(tokens, token(**{"sub": "x", name: value})) is Unauthenticated.NO_IDENTITY
    assert verdict(tokens, token(without=("sub",))) is Unauthenticated.NO_IDENTITY


def test_each_refusal_has_its_reason(jwks: Path) -> None:
    """From which a failed rotation, a wrong setting and a clock that is off can be told from each other."""
    tokens = with_rules(jwks, issuers=("https://id.example",), audiences=("claimd",))
    fine = {"iss": "https://id.example", "aud": "claimd"}
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


def test_a_reason_can_stand_in_a_header() -> None:
    """RFC 6750, section 3: of an error_description's characters none is a quotation mark or a backslash."""
    for reason in Unauthenticated:
        assert re.fullmatch(r"[ !#-\[\]-~]+", reason.sentence)


@pytest.mark.parametrize("kid", ALGORITHMS)
def test_every_changed_character_breaks_a_token(tokens: BearerTokens, kid: str) -> None:
    """None of it can be replaced, left out or doubled; what is left over may at most say the very same."""
    text = token("ada", kid)
    for at in range(len(text)):
        for other in (text[:at] + "A" + text[at + 1 :], text[:at] + text[at + 1 :], text[:at] + text[at] + text[at:]):
            bearer = bearer_of(tokens, other)
            assert bearer is None or other == text or bearer == bearer_of(tokens, text)


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
def test_a_signed_header_that_asks_for_more_than_is_understood_is_refused(
    tokens: BearerTokens, more: dict[str, Any]
) -> None:
    """RFC 7515, section 4.1.11, and RFC 7797: not even the provider's own signature makes up for it."""
    payload = json.dumps({"sub": "ada", "exp": _in_an_hour()}).encode()
    assert bearer_of(tokens, raw_token({"alg": "HS256", "kid": "oct"}, payload)) is not None
    assert bearer_of(tokens, raw_token({"alg": "HS256", "kid": "oct", **more}, payload)) is None


def test_a_key_that_a_token_brings_along_is_not_asked(tokens: BearerTokens) -> None:
    """`jwk`, `jku`, `x5u` and `x5c` are a stranger's words: the signature is checked with the key of the file."""
    brought = {"jwk": {**public_jwk("oct"), "k": _segment(b"x" * 40)}, "jku": "http://127.0.0.1/", "x5c": ["AAAA"]}
    payload = {"sub": "ada", "exp": _in_an_hour()}
    header = {"alg": "HS256", "kid": "oct", **brought}
    assert bearer_of(tokens, _hmac_signed(header, payload, b"x" * 40)) is None
    assert bearer_of(tokens, _hmac_signed(header, payload, OCT_SECRET)) is not None


def test_a_token_without_a_known_key_is_not_looked_at(tokens: BearerTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends 8 KiB under a name that is not in the file is refused by the header alone."""
    seen: list[str] = []
    read = jwt.get_unverified_header

    def noted(text: str) -> Any:
        seen.append(text)
        return read(text)

    monkeypatch.setattr(jwt, "get_unverified_header", noted)
    monkeypatch.setattr(jwt, "decode", None)
    header = _segment({"alg": "HS256", "kid": "stranger"})
    assert bearer_of(tokens, f"{header}.{_segment(b'x' * 5000)}.{_segment(b'y' * 32)}") is None
    assert seen == [f"{header}.."]
