"""Bearer tokens: what a key of the provider signed, with that key's algorithm, in time and for us, has a bearer."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from claimd.identity.bearer import BearerTokens, JwksError
from claimd.identity.secrets import identity_digest
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


@pytest.fixture(scope="module")
def tokens(jwks: Path) -> BearerTokens:
    """Tokens of any issuer for any audience."""
    return BearerTokens.from_file(jwks, None, None)


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
    bearer = tokens.verify(token("ada", kid, city="hangzhou"))
    assert bearer is not None
    assert bearer.subject == "ada"
    assert bearer.claims["city"] == "hangzhou"


@pytest.mark.parametrize("kid", ALGORITHMS)
def test_a_changed_payload_is_refused(tokens: BearerTokens, kid: str) -> None:
    """A signature holds for its own payload only."""
    head, _, signature = token("ada", kid).split(".")
    assert tokens.verify(f"{head}.{_segment({'sub': 'eve', 'exp': _in_an_hour()})}.{signature}") is None


@pytest.mark.parametrize("kid", ALGORITHMS)
def test_a_token_without_a_signature_is_refused(tokens: BearerTokens, kid: str) -> None:
    """`none`, however it is spelled, and an absent signature are no signature."""
    payload = _segment({"sub": "ada", "exp": _in_an_hour()})
    for algorithm in ("none", "None", "NONE", "", ALGORITHMS[kid]):
        header = _segment({"alg": algorithm, "kid": kid})
        assert tokens.verify(f"{header}.{payload}.") is None
        assert tokens.verify(f"{header}.{payload}") is None


@pytest.mark.parametrize(
    "encoding", [(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), (Encoding.DER, PublicFormat.PKCS1)]
)
def test_a_public_key_is_no_shared_secret(tokens: BearerTokens, encoding: tuple[Encoding, PublicFormat]) -> None:
    """HS256 signed with the RSA public key, which everybody has, is refused: the key decides the algorithm."""
    public = private_key("rsa").public_key().public_bytes(*encoding)
    payload = {"sub": "ada", "exp": _in_an_hour()}
    assert tokens.verify(_hmac_signed({"alg": "HS256", "kid": "rsa"}, payload, public)) is None
    # The same by hand with the true secret is good: it is not the making of it that was refused.
    assert tokens.verify(_hmac_signed({"alg": "HS256", "kid": "oct"}, payload, OCT_SECRET)) is not None


@pytest.mark.parametrize(
    "algorithm", ["RS512", "PS256", "ES256", "HS256", "HS384", "EdDSA", "none", "nonsense", None, 1]
)
def test_another_algorithm_than_the_keys_is_refused(tokens: BearerTokens, algorithm: Any) -> None:
    """What the header says of its algorithm is never believed."""
    payload = json.dumps({"sub": "ada", "exp": _in_an_hour()}).encode()
    assert tokens.verify(raw_token({"alg": algorithm, "kid": "rsa"}, payload, "rsa")) is None


@pytest.mark.parametrize(
    ("kid", "algorithm"),
    [("rsa", "RS384"), ("rsa", "RS512"), ("rsa", "PS256"), ("rsa", "PS512"), ("oct", "HS384"), ("oct", "HS512")],
)
def test_a_right_signature_of_another_algorithm_is_refused(tokens: BearerTokens, kid: str, algorithm: str) -> None:
    """Signed with the very key, but not as the file says that this key signs."""
    payload = {"sub": "ada", "exp": _in_an_hour()}
    signed = jwt.encode(payload, private_key(kid), algorithm, headers={"kid": kid})
    assert tokens.verify(signed) is None
    usual = jwt.encode(payload, private_key(kid), ALGORITHMS[kid], headers={"kid": kid})
    assert tokens.verify(usual) is not None


@pytest.mark.parametrize("kid", ["stranger", "", None, 1, ["oct"], {"oct": 1}, "OCT", "oct "])
def test_an_unknown_key_is_refused(tokens: BearerTokens, kid: Any) -> None:
    """A `kid` that is not in the file, or is no text at all, has no key."""
    payload = json.dumps({"sub": "ada", "exp": _in_an_hour()}).encode()
    assert tokens.verify(raw_token({"alg": "HS256", "kid": kid}, payload)) is None


def test_a_token_without_a_kid_is_refused(tokens: BearerTokens) -> None:
    """No key is tried by chance."""
    payload = json.dumps({"sub": "ada", "exp": _in_an_hour()}).encode()
    assert tokens.verify(raw_token({"alg": "HS256"}, payload)) is None


def test_the_same_kid_of_a_strangers_key_is_refused(tokens: BearerTokens) -> None:
    """A stranger may call a key as ours is called, but cannot sign with ours."""
    payload = {"sub": "ada", "exp": _in_an_hour()}
    assert tokens.verify(_hmac_signed({"alg": "HS256", "kid": "oct"}, payload, b"x" * 40)) is None


@pytest.mark.parametrize(
    "claims",
    [
        {"without": ("exp",)},
        {"exp": 0},
        {"exp": int(time.time()) - 1},
        {"exp": "soon"},
        {"exp": None},
        {"exp": [2**40]},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"nbf": int(time.time()) + 3600},
        {"nbf": "later"},
    ],
    # Not by value: every test process must name them alike.
    ids=range(10),
)
def test_a_token_out_of_its_time_is_refused(tokens: BearerTokens, claims: dict[str, Any]) -> None:
    """It must say when it expires, in a number, and that must be in the future."""
    assert tokens.verify(token("ada", **claims)) is None


def test_issuer_and_audience_are_checked_where_they_are_set(jwks: Path) -> None:
    """Exactly the issuer, and the audience among those of the token; missing is wrong."""
    strict = BearerTokens.from_file(jwks, "https://id.example", "claimd")
    assert strict.verify(token(iss="https://id.example", aud="claimd")) is not None
    assert strict.verify(token(iss="https://id.example", aud=["other", "claimd"])) is not None
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
        assert strict.verify(token(**claims)) is None, claims


def test_issuer_and_audience_are_not_checked_where_they_are_not_set(tokens: BearerTokens) -> None:
    """Without the settings a token may name any of them."""
    assert tokens.verify(token(iss="https://anyone.example", aud="anything")) is not None


@pytest.mark.parametrize("sub", [None, 1, 1.5, True, ["ada"], {"ada": 1}])
def test_a_sub_that_is_no_string_is_refused(tokens: BearerTokens, sub: Any) -> None:
    """An identity is text."""
    assert tokens.verify(token(sub)) is None


def test_a_missing_sub_is_refused(tokens: BearerTokens) -> None:
    """A token of nobody has no bearer."""
    assert tokens.verify(token(without=("sub",))) is None


@pytest.mark.parametrize("sub", ["a", "A", " a", "a ", "é", "e\u0301", "a\0b", "\ud800", "a" * 513, ""])
def test_a_sub_is_handed_on_as_it_is(tokens: BearerTokens, sub: str) -> None:
    """Byte for byte; what is no identity is refused by whoever makes the digest, and never repaired."""
    bearer = tokens.verify(token(sub))
    assert bearer is None or bearer.subject == sub
    if sub.strip() and len(sub) < 513 and sub != "\ud800":
        assert bearer is not None
        assert identity_digest(b"k" * 32, bearer.subject) == identity_digest(b"k" * 32, sub)


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
    assert tokens.verify(text) is None


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"1", b'"ada"', b"null", b"{", b"[" * 20_000, b"9" * 5000, b"\xff\xfe"]
)
def test_a_signed_payload_that_is_no_object_is_refused(tokens: BearerTokens, payload: bytes) -> None:
    """Even the provider's own signature does not make it a token."""
    assert tokens.verify(raw_token({"alg": "HS256", "kid": "oct"}, payload)) is None


@given(
    st.one_of(
        st.text(),
        st.text("ab0-_.=é\ud800"),
        st.lists(st.binary(), max_size=5).map(lambda p: ".".join(map(_segment, p))),
    )
)
def test_nothing_that_is_shown_as_a_token_raises(tokens: BearerTokens, text: str) -> None:
    """Any text at all is answered by None."""
    assert tokens.verify(text) is None


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
    assert tokens.verify(_hmac_signed(header, payload, b"x" * 32)) is None


def test_without_a_file_every_token_is_refused() -> None:
    """No keys, no bearers."""
    assert BearerTokens.from_file(None, None, None).verify(token()) is None


_OCT = public_jwk("oct")


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
        (json.dumps({"keys": ["key"]}).encode(), "kid"),
        (json.dumps({"keys": [{**_OCT, "kid": ""}]}).encode(), "kid"),
        (json.dumps({"keys": [{**_OCT, "kid": 1}]}).encode(), "kid"),
        (json.dumps({"keys": [{k: v for k, v in _OCT.items() if k != "alg"}]}).encode(), "alg"),
        (json.dumps({"keys": [{**_OCT, "alg": "none"}]}).encode(), "alg"),
        (json.dumps({"keys": [{**_OCT, "alg": ["HS256"]}]}).encode(), "alg"),
        (json.dumps({"keys": [{**_OCT, "kty": "octet"}]}).encode(), "kty"),
        (json.dumps({"keys": [{**_OCT, "kty": ["oct"]}]}).encode(), "kty"),
        (json.dumps({"keys": [{**_OCT, "alg": "RS256"}]}).encode(), "cannot be used"),
        (json.dumps({"keys": [{"kid": "rsa", "kty": "RSA", "alg": "RS256"}]}).encode(), "cannot be used"),
        (json.dumps({"keys": [{**public_jwk("ec"), "x": "AAAA"}]}).encode(), "cannot be used"),
        (json.dumps({"keys": [{**public_jwk("ec"), "x": 1}]}).encode(), "cannot be used"),
        (json.dumps({"keys": [{**_OCT, "k": "é"}]}).encode(), "cannot be used"),
        (json.dumps({"keys": [{**_OCT, "k": 1}]}).encode(), "cannot be used"),
        (json.dumps({"keys": [_OCT, _OCT]}).encode(), "two keys"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path, content: bytes, says: str) -> None:
    """A JwksError of one sentence that names the file and says what is wrong, and shows no key."""
    path = tmp_path / "jwks.json"
    path.write_bytes(content)
    with pytest.raises(JwksError) as raised:
        BearerTokens.from_file(path, None, None)
    message = str(raised.value)
    assert str(path) in message
    assert says in message
    assert _OCT["k"] not in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The same for a file that cannot be read at all."""
    for path in (tmp_path / "absent.json", tmp_path):
        with pytest.raises(JwksError, match="cannot be read"):
            BearerTokens.from_file(path, None, None)


@pytest.mark.parametrize("claims", [{"iat": 2**33}, {"iat": "?"}, {"jti": 7}])
def test_when_a_token_was_made_and_what_it_is_called_decide_nothing(
    tokens: BearerTokens, claims: dict[str, Any]
) -> None:
    """A provider whose clock is a second ahead must not shut everybody out."""
    text = _hmac_signed({"alg": "HS256", "kid": "oct"}, {"sub": "ada", "exp": _in_an_hour(), **claims}, OCT_SECRET)
    assert tokens.verify(text) is not None


@pytest.mark.parametrize("kid", ALGORITHMS)
def test_every_changed_character_breaks_a_token(tokens: BearerTokens, kid: str) -> None:
    """None of it can be replaced, left out or doubled; what is left over may at most say the very same."""
    text = token("ada", kid)
    for at in range(len(text)):
        for other in (text[:at] + "A" + text[at + 1 :], text[:at] + text[at + 1 :], text[:at] + text[at] + text[at:]):
            bearer = tokens.verify(other)
            assert bearer is None or other == text or bearer == tokens.verify(text)


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
    assert tokens.verify(raw_token({"alg": "HS256", "kid": "oct"}, payload)) is not None
    assert tokens.verify(raw_token({"alg": "HS256", "kid": "oct", **more}, payload)) is None


def test_a_key_that_a_token_brings_along_is_not_asked(tokens: BearerTokens) -> None:
    """`jwk`, `jku`, `x5u` and `x5c` are a stranger's words: the signature is checked with the key of the file."""
    brought = {"jwk": {**public_jwk("oct"), "k": _segment(b"x" * 40)}, "jku": "http://127.0.0.1/", "x5c": ["AAAA"]}
    payload = {"sub": "ada", "exp": _in_an_hour()}
    header = {"alg": "HS256", "kid": "oct", **brought}
    assert tokens.verify(_hmac_signed(header, payload, b"x" * 40)) is None
    assert tokens.verify(_hmac_signed(header, payload, OCT_SECRET)) is not None


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
    assert tokens.verify(f"{header}.{_segment(b'x' * 5000)}.{_segment(b'y' * 32)}") is None
    assert seen == [f"{header}.."]
