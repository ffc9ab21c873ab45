"""What the public is answered about a round that was archived: 410, on every route, by either door."""

from pathlib import Path
from typing import Any

import pytest

from claimd.domain.outcomes import EditOutcome
from claimd.gateway.lane.connection import Lane
from claimd.http.aiohttp_door import AiohttpDoor
from tests.http import serving
from tests.http.answers import problem
from tests.http.serving import Served, open_round, with_bearer, with_pass
from tests.identity.identity_provider import token
from tests.servers import Server

NIGHT = "/v1/rounds/night"


async def _archived(served: Served) -> None:
    """A round in which ada held a claim."""
    await open_round(served.store)
    assert (await served.http.post(f"{NIGHT}/claims", headers=with_pass("ada"))).status == 201
    await served.store.rounds.round_edit("night", {"closed": True}, "over")
    contents: dict[str, Any] = {
        "version": 2,
        "issued": 1,
        "voided": 0,
        "sha256": "ab" * 32,
        "file": "/secret",
        "reason": "over",
    }
    assert (await served.store.rounds.round_archive("night", **contents)).outcome is EditOutcome.DONE


@pytest.mark.parametrize("door", [Lane, AiohttpDoor])
@pytest.mark.parametrize("person", ["ada", "bob"])
async def test_every_route_of_an_archived_round_is_410(valkey: Server, jwks: Path, door: Any, person: str) -> None:
    """410 with and without a claim, by pass and by token: the claims are no longer on the server."""
    async with serving.gateway(valkey.url, jwks=jwks, door=door) as gateway:
        await _archived(gateway)
        bearer = with_bearer(token(sub=person))
        for method, path, headers in (
            ("GET", NIGHT, {}),
            ("POST", f"{NIGHT}/claims", with_pass(person)),
            ("POST", f"{NIGHT}/claims", bearer),
            ("GET", f"{NIGHT}/claims/me", with_pass(person)),
            ("GET", f"{NIGHT}/claims/me", bearer),
            ("POST", f"{NIGHT}/passes", bearer),
        ):
            answer = await gateway.http.request(method, path, headers=headers)
            document = await problem(answer, 410, "archived")
            assert document.keys() == {"type", "title", "status", "code"}, path
        # Without credentials not even that shows.
        await problem(await gateway.http.post(f"{NIGHT}/claims"), 401, "unauthenticated")
