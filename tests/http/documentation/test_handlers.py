"""The document and its page are served by both ports, without credentials, and revalidated."""

from collections.abc import AsyncIterator

import pytest

from claimd.contract.openapi import CONSOLE_API, PUBLIC_API, openapi
from claimd.gateway.lane.connection import Lane
from claimd.http.aiohttp_door import AiohttpDoor
from tests.http import serving
from tests.http.serving import Served
from tests.servers import Server

SIDES = ["public, by the lane", "public, by aiohttp", "console"]


@pytest.fixture(params=SIDES)
async def side(request: pytest.FixtureRequest, valkey: Server) -> AsyncIterator[tuple[Served, str]]:
    """A port, and the address of its document."""
    if request.param == "console":
        async with serving.console(valkey.url) as served:
            yield served, "/admin/v1/openapi.json"
    else:
        door = Lane if "lane" in request.param else AiohttpDoor
        async with serving.gateway(valkey.url, door=door) as served:
            yield served, "/v1/openapi.json"


async def test_a_port_serves_its_own_document(side: tuple[Served, str]) -> None:
    """As JSON, that of this port and not of the other."""
    served, path = side
    api = CONSOLE_API if path.startswith("/admin") else PUBLIC_API
    async with served.http.get(path) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        assert await answer.json() == openapi(api)


@pytest.mark.parametrize("if_none_match", ["{}", "W/{}", '"other", {}', "*"])
async def test_a_client_that_has_it_gets_304(side: tuple[Served, str], if_none_match: str) -> None:
    """By any form of `If-None-Match`, without a body; another ETag gets all of it."""
    served, path = side
    for page in (path, "/docs"):
        async with served.http.get(page) as first:
            etag, whole = first.headers["ETag"], await first.read()
        async with served.http.get(page, headers={"If-None-Match": if_none_match.format(etag)}) as again:
            assert (again.status, again.headers["ETag"], await again.read()) == (304, etag, b"")
            assert again.headers["Cache-Control"] == "public, max-age=300"
        async with served.http.get(page, headers={"If-None-Match": '"other"'}) as other:
            assert (other.status, await other.read()) == (200, whole)


async def test_the_etag_is_the_same_on_every_gateway(valkey: Server) -> None:
    """A client that meets another process keeps what it has."""
    etags = []
    for _ in range(2):
        async with serving.gateway(valkey.url) as served, served.http.get("/docs") as answer:
            await answer.read()
            etags.append(answer.headers["ETag"])
    assert etags[0] == etags[1]


async def test_it_is_there_without_the_server(side: tuple[Served, str], valkey: Server) -> None:
    """The documentation needs no Valkey."""
    valkey.kill()
    served, path = side
    for page in (path, "/docs"):
        async with served.http.get(page) as answer:
            assert (answer.status, len(await answer.read()) > 10_000) == (200, True)
