"""The harness signs tokens that a claimd with the same settings accepts, and mints them in processes beside."""

import time
from argparse import Namespace
from pathlib import Path

import pytest

from claimd.identity.bearer import BearerTokens, TokenRules
from claimd.identity.fresh_keys import FixedKeys
from claimd.identity.jwks import parse_jwks
from claimd.identity.verified import Verified
from claimd.settings import Settings
from loadtest.client.credentials import TokenIssuer, subject
from loadtest.client.minting import MintingError, mint_tokens
from loadtest.client.signing_keys import Algorithm, new_jwks, public_jwks


def signing(folder: Path, algorithm: Algorithm) -> tuple[Path, BearerTokens]:
    """A JWKS that signs, and claimd's check of tokens with what it gets of that."""
    jwks = folder / "signing-jwks.json"
    jwks.write_text(new_jwks(algorithm))
    public = parse_jwks("keys", public_jwks(jwks.read_text()).encode())
    return jwks, BearerTokens(FixedKeys(public.keys), TokenRules(), bytes(32), time.time)


async def test_tokens_fit_lists_of_issuers_and_another_identity(tmp_path: Path) -> None:
    """Both read the same variables; the harness takes the first of several issuers and audiences."""
    jwks = tmp_path / "jwks.json"
    jwks.write_text(new_jwks())
    settings = Settings.read(jwt_issuer="https://a.example , https://b.example", jwt_audience="app,web")
    issuer = TokenIssuer(jwks, settings.jwt_issuer, settings.jwt_audience, "oid")
    rules = TokenRules(settings.jwt_issuers, settings.jwt_audiences, "oid")
    tokens = BearerTokens(FixedKeys(parse_jwks("keys", jwks.read_bytes()).keys), rules, bytes(32), time.time)
    bearer = await tokens.verify_token(issuer.token("ada"))
    assert isinstance(bearer, Verified)
    assert bearer.subject == "ada"


@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_minted_tokens_are_those_of_the_people(tmp_path: Path, algorithm: Algorithm) -> None:
    """In their order, by every algorithm; claimd gets no private key."""
    jwks, verifying = signing(tmp_path, algorithm)
    given = Namespace(jwks=str(jwks), jwt_issuer="", jwt_audience="", jwt_identity="sub")
    tokens = mint_tokens(given, 3, range(1, 7, 2))
    assert len(tokens) == 3
    for slot, person in enumerate((1, 3, 5)):
        bearer = await verifying.verify_token(tokens.of(slot).decode())
        assert isinstance(bearer, Verified)
        assert bearer.subject == subject(3, person)
    assert '"d"' not in public_jwks(jwks.read_text())
    assert tokens.seconds > 0


async def test_several_processes_share_the_people(tmp_path: Path) -> None:
    """And their tokens are put together in the people's order."""
    jwks, verifying = signing(tmp_path, Algorithm.HS256)
    given = Namespace(jwks=str(jwks), jwt_issuer="", jwt_audience="", jwt_identity="sub")
    tokens = mint_tokens(given, 1, range(4_001))
    assert len(tokens) == 4_001
    for slot in (0, 2_000, 2_001, 4_000):
        bearer = await verifying.verify_token(tokens.of(slot).decode())
        assert isinstance(bearer, Verified)
        assert bearer.subject == subject(1, slot)


def test_a_key_that_cannot_sign_ends_with_a_sentence(tmp_path: Path) -> None:
    """A JWKS with the public half alone."""
    jwks = tmp_path / "jwks.json"
    jwks.write_text(public_jwks(new_jwks(Algorithm.ES256)))
    given = Namespace(jwks=str(jwks), jwt_issuer="", jwt_audience="", jwt_identity="sub")
    with pytest.raises(MintingError, match="no key with which tokens can be signed"):
        mint_tokens(given, 1, range(3))
