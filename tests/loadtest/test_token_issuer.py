"""The harness signs tokens that a claimd with the same settings accepts."""

import time
from pathlib import Path

from claimd.identity.bearer import BearerTokens, TokenRules
from claimd.identity.fresh_keys import FixedKeys
from claimd.identity.jwks import parse_jwks
from claimd.identity.verified import Verified
from claimd.settings import Settings
from loadtest.client.credentials import TokenIssuer
from loadtest.client.signing_keys import new_jwks


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
