"""The limit of one identity, from both sides: a request beyond it reaches no batch, and no stranger can use it up."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from claimd.domain.outcomes import Decision
from claimd.gateway.lane.connection import Lane
from claimd.http.aiohttp_door import AiohttpDoor
from claimd.store.redis.claims import RedisClaims
from tests.http import serving
from tests.http.answers import good, problem
from tests.http.serving import identity_of, open_round, pass_for, with_bearer, with_pass
from tests.identity.identity_provider import token
from tests.servers import Server

CLAIMS = "/v1/rounds/night/claims"
LIMIT = 3
DOORS = pytest.mark.parametrize("door", [Lane, AiohttpDoor])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every identity that reaches the store in a batch, as often as it does."""
    reached: list[bytes] = []
    claim = RedisClaims.claim

    async def noted(store: RedisClaims, round_id: str, identities: Sequence[bytes], epoch: int) -> list[Decision]:
        reached.extend(identities)
        return await claim(store, round_id, identities, epoch)

    monkeypatch.setattr(RedisClaims, "claim", noted)
    return reached


@DOORS
@pytest.mark.parametrize("credentials", ["pass", "bearer"])
async def test_a_limited_request_reaches_no_batch(
    valkey: Server, jwks: Path, asked: list[bytes], door: Any, credentials: str
) -> None:
    """All at once, on connections of their own: as many as may be are decided, the rest is 429 with Retry-After."""
    headers = with_pass("ada") if credentials == "pass" else with_bearer(token("ada"))
    async with serving.gateway(valkey.url, jwks=jwks, door=door, requests_per_identity=LIMIT) as gateway:
        await open_round(gateway.store)
        answers = await asyncio.gather(*(gateway.http.post(CLAIMS, headers=headers) for _ in range(20)))
        refused = [answer for answer in answers if answer.status == 429]
        assert len(refused) == 20 - LIMIT
        for answer in refused:
            await problem(answer, 429, "rate_limited")
            assert 1 <= int(answer.headers["Retry-After"]) <= 3
        assert asked == [identity_of("ada")] * LIMIT
        # Neither do others wait for it.
        await good(await gateway.http.post(CLAIMS, headers=with_pass("bob")), 201)


@DOORS
async def test_only_a_valid_pass_uses_up_a_persons_limit(
    valkey: Server, jwks: Path, asked: list[bytes], door: Any
) -> None:
    """Refused passes and tokens that name a person do not count against that person, however many there are."""
    forged = pass_for("ada")
    wrong = [
        {"Authorization": f"Pass {forged[:-1]}{'A' if forged[-1] != 'A' else 'B'}"},
        with_pass("ada", "another-night"),
        {"Authorization": f"Pass {pass_for('ada', expires_at_ms=1)}"},
        with_bearer(token("ada", exp=1)),
        with_bearer(token("ada")[:-4] + "AAAA"),
    ]
    async with serving.gateway(valkey.url, jwks=jwks, door=door, requests_per_identity=1) as gateway:
        await open_round(gateway.store)
        for headers in wrong * 5:
            await problem(await gateway.http.post(CLAIMS, headers=headers), 401, "unauthenticated")
        assert asked == []
        await good(await gateway.http.post(CLAIMS, headers=with_pass("ada")), 201)


async def test_both_doors_count_together(valkey: Server, asked: list[bytes]) -> None:
    """There is no second helping by the other door, nor with the other kind of credentials, nor in another round."""
    async with serving.gateway(valkey.url, requests_per_identity=LIMIT) as limited:
        for round_id in ("night", "other"):
            await open_round(limited.store, round_id)
        by_aiohttp = {**with_pass("ada"), "Connection": "close"}
        for headers in (with_pass("ada"), by_aiohttp, with_pass("ada")):
            assert (await limited.http.post(CLAIMS, headers=headers)).status in (200, 201)
        await problem(await limited.http.post(CLAIMS, headers=with_pass("ada")), 429, "rate_limited")
        await problem(await limited.http.post(CLAIMS, headers=by_aiohttp), 429, "rate_limited")
        other = await limited.http.post("/v1/rounds/other/claims", headers=with_pass("ada", "other"))
        await problem(other, 429, "rate_limited")
        assert len(asked) == LIMIT
