"""A whole visit is answered by the lane, over one connection; what it cannot answer goes to aiohttp."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import jwt
import pytest

from claimd.identity.fresh_keys import FixedKeys
from claimd.identity.jwks import parse_jwks
from tests.http import serving
from tests.http.raw import Raw, connected
from tests.http.serving import Served, open_round
from tests.identity.identity_provider import token
from tests.servers import Server

APP = "https://app.example"


@pytest.fixture
async def gateway(valkey: Server, jwks: Path) -> AsyncIterator[Served]:
    """A gateway with a round that is open."""
    async with serving.gateway(valkey.url, jwks=jwks, cors_origins=(APP,)) as served:
        await open_round(served.store)
        yield served


def _request(line: str, *headers: str) -> bytes:
    return "\r\n".join((f"{line} HTTP/1.1", "Host: x", *headers, "", "")).encode()


async def _document(client: Raw, line: str, status: int, *headers: str) -> dict[str, object]:
    await client.send(_request(line, *headers))
    answer = await client.answer()
    assert answer.status == status, answer.body
    document: dict[str, object] = answer.document
    return document


async def test_a_visit_is_answered_by_the_lane(gateway: Served) -> None:
    """Preflight, round, pass, round again, claim, and what is held: the connection never leaves the lane."""
    by_token = f"Authorization: Bearer {token('ada')}"
    async with connected(gateway.port) as client:
        asks = (f"Origin: {APP}", "Access-Control-Request-Method: POST")
        await client.send(_request("OPTIONS /v1/rounds/night/passes", *asks))
        assert (await client.answer()).status == 204
        item = await _document(client, "GET /v1/rounds/night", 200)
        issued = await _document(client, "POST /v1/rounds/night/passes", 201, by_token)
        await client.send(_request("GET /v1/rounds/night"))
        tag = (await client.answer()).headers["etag"]
        await client.send(_request("GET /v1/rounds/night", f"If-None-Match: {tag}"))
        assert (await client.answer()).status == 304
        by_pass = f"Authorization: Pass {issued['pass']}"
        claimed = await _document(client, "POST /v1/rounds/night/claims", 201, by_pass)
        for credentials in (by_pass, by_token):
            held = await _document(client, "GET /v1/rounds/night/claims/me", 200, credentials)
            assert held["claim"] == claimed["claim"]
        assert item["id"] == "night"
        assert (len(gateway.front.connections), len(gateway.behind.connections)) == (1, 0)


async def test_a_person_let_in_by_an_edit_gets_a_pass_at_once(gateway: Served) -> None:
    """A reading of a moment ago does not refuse."""
    await gateway.store.rounds.round_edit("night", {"eligibility": {"city": ["wuhan"]}}, "a test")
    credentials = f"Authorization: Bearer {token('ada', city='hangzhou')}"
    async with connected(gateway.port) as client:
        refused = await _document(client, "POST /v1/rounds/night/passes", 403, credentials)
        assert refused["code"] == "not_eligible"
        await gateway.store.rounds.round_edit("night", {"eligibility": {"city": ["hangzhou"]}}, "a test")
        await _document(client, "POST /v1/rounds/night/passes", 201, credentials)
        assert (len(gateway.front.connections), len(gateway.behind.connections)) == (1, 0)


class ComingKeys(FixedKeys):
    """Has its keys only for requests that wait for them."""

    @property
    def settled(self) -> bool:
        """False: an unknown key may still come."""
        return False

    def known(self, kid: str) -> jwt.PyJWK | None:
        """None, for every key."""
        return None

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """The key, after a wait."""
        return super().known(kid)


def _keys(jwks: Path) -> Mapping[str, jwt.PyJWK]:
    return parse_jwks(str(jwks), jwks.read_bytes()).keys


async def test_a_token_whose_key_may_still_come_goes_to_aiohttp(valkey: Server, jwks: Path) -> None:
    """The lane never waits for keys: aiohttp waits and answers, and serves the connection from then on."""
    keys = ComingKeys(_keys(jwks))
    async with serving.gateway(valkey.url, keys=keys) as gateway, connected(gateway.port) as client:
        await open_round(gateway.store)
        for path, method, status in (("/passes", "POST", 201), ("/claims/me", "GET", 404)):
            credentials = f"Authorization: Bearer {token('ada')}"
            await _document(client, f"{method} /v1/rounds/night{path}", status, credentials)
            assert (len(gateway.front.connections), len(gateway.behind.connections)) == (0, 1)


async def test_without_a_server_a_visit_is_503(gateway: Served, valkey: Server) -> None:
    """A round that has to be read, a pass, and a look; and then the same connection is served again."""
    credentials = f"Authorization: Bearer {token('ada')}"
    asks = [
        ("GET /v1/rounds/other", 404),
        ("POST /v1/rounds/other/passes", 404),
        ("GET /v1/rounds/night/claims/me", 404),
    ]
    async with connected(gateway.port) as client:
        valkey.kill()
        for line, _ in asks:
            assert (await _document(client, line, 503, credentials))["code"] == "unavailable"
        valkey.start()
        for line, status in asks:
            await _document(client, line, status, credentials)
        assert (len(gateway.front.connections), len(gateway.behind.connections)) == (1, 0)
