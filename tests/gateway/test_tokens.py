"""Bearer tokens at a gateway: the identity, the reason of a rejection, and keys that were not read yet."""

import asyncio
import json
import logging
from typing import Any

import jwt
import pytest

from claimd.gateway.lane.connection import Lane
from claimd.gateway.refusal_log import RefusalLog
from claimd.http.aiohttp_door import AiohttpDoor
from claimd.identity.bearer import TokenRules
from claimd.identity.fresh_keys import FreshKeys, KeysUnavailable
from claimd.identity.unauthenticated import Unauthenticated
from claimd.metrics.counts import Counts
from tests.http import serving
from tests.http.answers import good, problem
from tests.http.serving import Served, open_round, pass_for, with_bearer, with_pass
from tests.identity.identity_provider import public_jwk, raw_token, token
from tests.identity.test_fresh_keys import Clock, Provider
from tests.rounds import now_ms
from tests.servers import Server

CLAIMS = "/v1/rounds/night/claims"
PASSES = "/v1/rounds/night/passes"
ISSUER = "https://id.example"
RULES = TokenRules(issuers=(ISSUER,), audiences=("claimd",))
FINE: dict[str, Any] = {"iss": ISSUER, "aud": "claimd"}
PAYLOAD = json.dumps({"sub": "ada", "exp": 2**33, **FINE}).encode()
REFUSED = {
    "no_credentials": {"Authorization": "Basic YTpi"},
    "malformed": with_bearer("a.b.c"),
    "unknown_key": with_bearer(raw_token({"alg": "HS256", "kid": "stranger"}, PAYLOAD)),
    "wrong_algorithm": with_bearer(raw_token({"alg": "HS512", "kid": "oct"}, PAYLOAD)),
    "bad_signature": with_bearer(token(**FINE)[:-8] + "AAAAAAAA"),
    "expired": with_bearer(token(**FINE, exp=1)),
    "not_yet_valid": with_bearer(token(**FINE, iat=2**33)),
    "wrong_issuer": with_bearer(token(iss="https://elsewhere.example", aud="claimd")),
    "wrong_audience": with_bearer(token(iss=ISSUER, aud="other")),
    "no_expiry": with_bearer(token(**FINE, without=("exp",))),
    "no_identity": with_bearer(token(7, **FINE)),
}


class NoKeysYet:
    """A provider that has not answered yet."""

    settled = False

    def known(self, kid: str) -> jwt.PyJWK | None:
        return None

    async def find(self, kid: str) -> jwt.PyJWK | None:
        raise KeysUnavailable


@pytest.mark.parametrize("door", [Lane, AiohttpDoor])
async def test_each_401_has_its_reason(valkey: Server, jwks: Any, door: Any, caplog: pytest.LogCaptureFixture) -> None:
    """In WWW-Authenticate for the app's developer, in the counts for metrics, in the log for the operator: by reason,
    and nowhere the token. The body is the same for all.
    """
    async with serving.gateway(valkey.url, jwks=jwks, rules=RULES, door=door) as gateway:
        await open_round(gateway.store)
        counts: Counts = gateway.reporter._counts  # type: ignore[union-attr]
        log = RefusalLog(counts)
        for reason, headers in REFUSED.items():
            for number in range(3):
                answer = await gateway.http.post((PASSES, CLAIMS, PASSES)[number], headers=headers)
                document = await problem(answer, 401, "unauthenticated")
                assert document.keys() == {"type", "title", "status", "code"}
                error = "" if reason == "no_credentials" else 'error="invalid_token", '
                sentence = Unauthenticated(reason).sentence
                challenge = f'Bearer {error}error_description="{sentence}", Pass'
                assert answer.headers.getall("WWW-Authenticate") == [challenge]
        assert counts.unauthenticated == dict.fromkeys(REFUSED, 3)
        assert all(type(reason) is str for reason in counts.unauthenticated), "JSON takes nothing else as a name"
        assert counts.refusals == {"unauthenticated": 3 * len(REFUSED)}
        log.log_new()
        log.log_new()
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert sorted(said) == sorted(f"401 {reason}, 3 times: {Unauthenticated(reason).sentence}" for reason in REFUSED)
    for headers in REFUSED.values():
        assert headers["Authorization"].partition(" ")[2] not in caplog.text


@pytest.mark.parametrize("door", [Lane, AiohttpDoor])
async def test_a_rejected_pass_has_its_reason(valkey: Server, jwks: Any, door: Any) -> None:
    """The same at both doors, and counted."""
    async with serving.gateway(valkey.url, jwks=jwks, door=door) as gateway:
        await open_round(gateway.store)
        for pass_text in ("A" * 64, pass_for("ada", "other"), pass_for("ada", expires_at_ms=now_ms() - 1), "A" * 63):
            answer = await gateway.http.post(CLAIMS, headers={"Authorization": f"Pass {pass_text}"})
            await problem(answer, 401, "unauthenticated")
            assert "error_description=" in answer.headers["WWW-Authenticate"]
        counts: Counts = gateway.reporter._counts  # type: ignore[union-attr]
        assert counts.unauthenticated.total() == 4


async def test_without_a_jwks_bearer_tokens_are_not_accepted(valkey: Server) -> None:
    """With a reason of its own: it is no token's fault."""
    async with serving.gateway(valkey.url) as gateway:
        await open_round(gateway.store)
        answer = await gateway.http.post(CLAIMS, headers=with_bearer(token()))
        await problem(answer, 401, "unauthenticated")
        assert "no JWKS is configured" in answer.headers["WWW-Authenticate"]


async def test_until_keys_are_read_tokens_are_503_and_passes_are_not(valkey: Server) -> None:
    """503 unavailable with Retry-After: the token may be good. Without its provider a drop goes on."""
    async with serving.gateway(valkey.url, keys=NoKeysYet()) as gateway:
        await open_round(gateway.store)
        for path in (PASSES, CLAIMS):
            answer = await gateway.http.post(path, headers=with_bearer(token()))
            document = await problem(answer, 503, "unavailable")
            assert "keys" in document["detail"]
            assert int(answer.headers["Retry-After"]) >= 1
        await good(await gateway.http.post(CLAIMS, headers=with_pass("ada")), 201)


async def test_a_request_that_waits_for_keys_delays_no_other(valkey: Server) -> None:
    """Neither passes nor tokens of a known key; and with the new keys it is answered as any other."""
    provider = Provider("old")
    provider.document = json.dumps({"keys": [public_jwk("oct")]}).encode()
    keys = FreshKeys(provider, Clock())
    await keys.start()
    async with serving.gateway(valkey.url, keys=keys) as gateway:
        await open_round(gateway.store)
        provider.document = json.dumps({"keys": [public_jwk("oct"), public_jwk("okp")]}).encode()
        provider.open.clear()
        headers = with_bearer(token("cleo", "okp"))
        waiting = [asyncio.create_task(gateway.http.post(PASSES, headers=headers)) for _ in range(5)]
        while provider.reads < 2:  # noqa: ASYNC110 - there is no event for the call
            await asyncio.sleep(0)
        await good(await gateway.http.post(CLAIMS, headers=with_pass("ada")), 201)
        await good(await gateway.http.post(CLAIMS, headers=with_bearer(token("bob"))), 201)
        assert not any(task.done() for task in waiting)
        provider.open.set()
        for answer in await asyncio.gather(*waiting):
            await good(answer, 201)


async def test_one_person_under_two_subs_claims_once(valkey: Server, jwks: Any) -> None:
    """Entra ID has another `sub` for each app; with `oid` as the identity it is one person with one pack."""
    async with serving.gateway(valkey.url, jwks=jwks, rules=TokenRules(identity="oid")) as gateway:
        await open_round(gateway.store)
        first = await gateway.http.post(CLAIMS, headers=with_bearer(token("sub-in-app-1", oid="ada")))
        second = await gateway.http.post(CLAIMS, headers=with_bearer(token("sub-in-app-2", oid="ada")))
        assert (await good(first, 201))["claim"] == (await good(second, 200))["claim"]
        await problem(await gateway.http.post(CLAIMS, headers=with_bearer(token("ada"))), 401, "unauthenticated")


async def test_eligibility_by_nested_and_listed_token_claims(gateway: Served, valkey: Server) -> None:
    """As an operator writes it and a gateway checks it: numbers, booleans, nested roles, the words of a scope."""
    eligibility = {
        "realm_access.roles": ["resident"],
        "verified": [True],
        "district": [7, 8.5],
        "scope": ["drop"],
        "https://city.example/kind": ["adult"],
    }
    async with serving.console(valkey.url) as console:
        body = {"id": "night", "title": "A night", "total": 5, "eligibility": eligibility}
        window = {"opens_at": "2020-01-01T00:00:00Z", "closes_at": "2099-01-01T00:00:00Z"}
        await good(await console.http.post("/admin/v1/rounds", json={**body, **window}, headers=serving.ADMIN), 201)
    claims: dict[str, Any] = {
        "realm_access": {"roles": ["offline_access", "resident"]},
        "verified": True,
        "district": 7.0,
        "scope": "openid drop email",
        "https://city.example/kind": "adult",
    }
    await good(await gateway.http.post(PASSES, headers=with_bearer(token("ada", **claims))), 201)
    await good(await gateway.http.post(CLAIMS, headers=with_bearer(token("ada", **claims))), 201)
    for name, wrong in {
        "realm_access": {"roles": ["offline_access"]},
        "verified": 1,
        "district": True,
        "scope": "openid dropping",
        "https://city.example/kind": ["child"],
    }.items():
        for path in (PASSES, CLAIMS):
            answer = await gateway.http.post(path, headers=with_bearer(token("eve", **{**claims, name: wrong})))
            await problem(answer, 403, "not_eligible")
