"""No answer may be cached unless its handler allows it, whether a handler, the lane or aiohttp makes it.

`tests/http/raw.py` holds every answer that any test reads byte by byte to it, too.
"""

import pytest
from aiohttp import hdrs, web

from claimd.contract.headers import NO_STORE, SHORTLY
from claimd.gateway.lane.connection import Lane
from claimd.http.aiohttp_door import AiohttpDoor
from claimd.http.caching import on_prepare
from tests.http import serving
from tests.http.raw import connected
from tests.http.serving import ADMIN, open_round, pass_for
from tests.servers import Server

PUBLIC = [
    ("GET", "/v1/rounds", 200),
    ("GET", "/v1/rounds/other", 404),
    ("POST", "/v1/rounds/night/passes", 401),
    ("POST", "/v1/rounds/night/claims", 401),
    ("GET", "/v1/rounds/night/claims/me", 401),
    ("GET", "/healthz", 200),
    ("GET", "/readyz", 200),
    ("GET", "/nowhere", 404),
    ("DELETE", "/v1/rounds", 405),
]
OPERATORS = [
    ("GET", "/admin/v1/rounds", 200),
    ("GET", "/admin/v1/rounds/night", 200),
    ("GET", "/admin/v1/rounds/night/audit", 200),
    # A stream, which its handler begins by itself.
    ("GET", "/admin/v1/rounds/night/claims", 200),
    ("GET", "/metrics", 200),
    ("GET", "/healthz", 200),
    ("GET", "/readyz", 200),
    ("GET", "/nowhere", 404),
    ("POST", "/admin/v1/rounds", 422),
]


@pytest.mark.parametrize(("method", "path", "status"), PUBLIC)
async def test_no_public_answer_may_be_cached(valkey: Server, method: str, path: str, status: int) -> None:
    """Good answers and errors of every route."""
    async with serving.gateway(valkey.url) as gateway:
        await open_round(gateway.store)
        async with gateway.http.request(method, path) as answer:
            assert (answer.status, answer.headers.getall(hdrs.CACHE_CONTROL)) == (status, [NO_STORE])


async def test_a_round_may_be_kept_for_a_second(valkey: Server) -> None:
    """It is the same for everybody; also when the client has it already."""
    async with serving.gateway(valkey.url) as gateway:
        await open_round(gateway.store)
        async with gateway.http.get("/v1/rounds/night") as answer:
            assert (answer.status, answer.headers.getall(hdrs.CACHE_CONTROL)) == (200, [SHORTLY])
            known = {hdrs.IF_NONE_MATCH: answer.headers[hdrs.ETAG]}
        async with gateway.http.get("/v1/rounds/night", headers=known) as answer:
            assert (answer.status, answer.headers.getall(hdrs.CACHE_CONTROL)) == (304, [SHORTLY])


@pytest.mark.parametrize(("method", "path", "status"), OPERATORS)
async def test_no_console_answer_may_be_cached(valkey: Server, method: str, path: str, status: int) -> None:
    """Streams and metrics included."""
    async with serving.console(valkey.url) as console:
        await open_round(console.store)
        async with console.http.request(method, path, headers=ADMIN) as answer:
            assert (answer.status, answer.headers.getall(hdrs.CACHE_CONTROL)) == (status, [NO_STORE])


def _claim(credentials: str) -> bytes:
    head = "POST /v1/rounds/night/claims HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
    return f"{head}Authorization: {credentials}\r\n\r\n".encode()


@pytest.mark.parametrize("door", [Lane, AiohttpDoor], ids=["lane", "aiohttp"])
async def test_no_answer_to_a_claim_may_be_cached(valkey: Server, door: type) -> None:
    """A grant, a replay, a refusal and a bad pass, at both doors."""
    async with serving.gateway(valkey.url, door=door) as gateway, connected(gateway.port) as client:
        await open_round(gateway.store, total=1)
        for credentials, status in (
            (f"Pass {pass_for('ada')}", 201),
            (f"Pass {pass_for('ada')}", 200),
            (f"Pass {pass_for('bob')}", 409),
            ("Pass nonsense", 401),
        ):
            assert await client.send(_claim(credentials))
            answer = await client.answer()
            assert (answer.status, answer.headers["cache-control"]) == (status, NO_STORE)


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"POST /v1/rounds/night/passes HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: a miracle\r\n\r\n{}",
    ],
    ids=["no HTTP", "no length", "an expectation"],
)
async def test_aiohttps_own_errors_may_not_be_cached(valkey: Server, data: bytes) -> None:
    """Errors that never reach a handler or a middleware."""
    async with serving.gateway(valkey.url) as gateway, connected(gateway.port) as client:
        assert await client.send(data)
        answer = await client.answer()
        assert (answer.status, answer.headers["cache-control"]) == (400, NO_STORE)


async def test_a_handlers_own_cache_control_is_kept() -> None:
    """A handler may allow caching."""
    response = web.Response(headers={hdrs.CACHE_CONTROL: "public, max-age=1"})
    await on_prepare(None, response)  # type: ignore[arg-type]
    assert response.headers.getall(hdrs.CACHE_CONTROL) == ["public, max-age=1"]
