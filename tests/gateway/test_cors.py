"""CORS at the gateway: what a page of a configured origin may read, what any other may not, and preflights."""

import pytest
from aiohttp import hdrs

from claimd.contract.routes import PUBLIC_ROUTES
from claimd.http.aiohttp_door import AiohttpDoor
from claimd.http.cors import WITHOUT_CORS, Cors, methods_of
from tests.http import serving
from tests.http.raw import Answer, connected
from tests.http.serving import open_round, pass_for
from tests.servers import Server

APP = "https://app.example"
OTHER_APP = "capacitor://localhost"
FOREIGN = "https://evil.example"
EXPOSED = "Date, ETag, Retry-After, WWW-Authenticate"
PATHS = [route.path.replace("{round_id}", "night") for route in PUBLIC_ROUTES]


def _request(method: str, path: str, *fields: str) -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: x", *fields, "", "")).encode()


async def _answer(port: int, method: str, path: str, *fields: str) -> Answer:
    async with connected(port) as client:
        assert await client.send(_request(method, path, *fields))
        return await client.answer(bodiless=method == "HEAD")


# Of each kind: answers of handlers, of the middleware, of the router, of aiohttp before any handler.
REQUESTS = [
    (200, "GET", "/v1/rounds", ()),
    (200, "GET", "/v1/rounds/night", ()),
    (200, "HEAD", "/v1/rounds/night", ()),
    (404, "GET", "/v1/rounds/other", ()),
    (201, "POST", "/v1/rounds/night/claims", ("Authorization: Pass {pass}",)),
    (401, "POST", "/v1/rounds/night/claims", ()),
    (404, "GET", "/nowhere", ()),
    (405, "DELETE", "/v1/rounds", ()),
    (405, "OPTIONS", "/v1/rounds", ()),
    (400, "GET", "/v1/rounds?x=1", ()),
    (413, "POST", "/v1/rounds/night/claims", ("Authorization: Pass {pass}", "Content-Length: 5000")),
    (400, "POST", "/v1/rounds/night/passes", ("Content-Length: 2", "Expect: a miracle")),
]


@pytest.mark.parametrize(("status", "method", "path", "fields"), REQUESTS)
async def test_every_answer_has_the_lines_of_its_origin(
    valkey: Server, status: int, method: str, path: str, fields: tuple[str, ...]
) -> None:
    """A known origin may read; a foreign one, none and two of them may not; all answers vary."""
    async with serving.gateway(valkey.url, door=AiohttpDoor, cors_origins=(APP, OTHER_APP)) as gateway:
        for number, (origins, allowed) in enumerate(
            (([APP], APP), ([OTHER_APP], OTHER_APP), ([FOREIGN], None), ([], None), ([APP, FOREIGN], None))
        ):
            await open_round(gateway.store)
            fields_now = [field.replace("{pass}", pass_for(f"p{number}")) for field in fields]
            answer = await _answer(gateway.port, method, path, *fields_now, *(f"Origin: {one}" for one in origins))
            assert answer.status == status
            assert answer.headers.get("access-control-allow-origin") == allowed
            assert answer.headers.get("access-control-expose-headers") == (EXPOSED if allowed else None)
            assert answer.headers["vary"] == ("Origin, Accept-Language" if status >= 400 else "Origin")


@pytest.mark.parametrize(("status", "method", "path", "fields"), REQUESTS)
async def test_nothing_changes_where_no_origin_is_configured(
    valkey: Server, status: int, method: str, path: str, fields: tuple[str, ...]
) -> None:
    """No answer speaks of origins."""
    async with serving.gateway(valkey.url) as gateway:
        await open_round(gateway.store)
        fields_now = [field.replace("{pass}", pass_for("ada")) for field in fields]
        answer = await _answer(gateway.port, method, path, *fields_now, f"Origin: {APP}")
        assert answer.status == status
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers.get("vary") == ("Accept-Language" if status >= 400 else None)


@pytest.mark.parametrize("path", [*PATHS, "/nowhere", "/v1/rounds/night/nowhere"])
async def test_a_preflight_names_the_methods_of_the_path(valkey: Server, path: str) -> None:
    """By the router as by the table of routes; where no route has the path it is 404."""
    async with serving.gateway(valkey.url, door=AiohttpDoor, cors_origins=(APP,)) as gateway:
        fields = (f"Origin: {APP}", "Access-Control-Request-Method: POST")
        answer = await _answer(gateway.port, "OPTIONS", path, *fields)
        expected = ", ".join(methods_of(path))
        assert answer.status == (204 if expected else 404)
        assert answer.headers.get("access-control-allow-methods", "") == expected
        assert answer.headers["access-control-allow-origin"] == APP
        assert expected or "nowhere" in path


@pytest.mark.parametrize("origin", [APP, FOREIGN])
async def test_a_preflight_has_the_same_bytes_at_both_doors(valkey: Server, origin: str) -> None:
    """What the lane can send is what aiohttp sends, line by line; a foreign origin learns nothing."""
    fields = (f"Origin: {origin}", "Access-Control-Request-Method: POST", "Connection: close")
    aiohttp_alone = serving.gateway(valkey.url, door=AiohttpDoor, cors_origins=(APP,))
    async with aiohttp_alone as gateway, connected(gateway.port) as client:
        assert await client.send(_request("OPTIONS", "/v1/rounds/night/claims", *fields))
        by_aiohttp = (await client.rest()).split(b"\r\n")
    whole = Cors((APP,)).preflight_answer(origin.encode(), "/v1/rounds/night/claims", 0)
    assert whole is not None
    by_lane = whole.split(b"\r\n")
    dropped = (b"Date:", b"Connection:", b"Server:")
    kept = [sorted(line for line in lines if not line.startswith(dropped)) for lines in (by_lane, by_aiohttp)]
    assert kept[0] == kept[1]
    assert (b"Access-Control-Max-Age: 7200" in by_lane) == (origin == APP)


async def test_a_preflight_is_405_where_no_origin_is_configured(valkey: Server) -> None:
    """As any other OPTIONS; and so is an OPTIONS that is no preflight."""
    asked = ("Access-Control-Request-Method: POST",)
    async with serving.gateway(valkey.url) as gateway:
        answer = await _answer(gateway.port, "OPTIONS", "/v1/rounds", f"Origin: {APP}", *asked)
        assert (answer.status, answer.document["code"]) == (405, "method_not_allowed")
    assert Cors().preflight_answer(APP.encode(), "/v1/rounds", 0) is None
    async with serving.gateway(valkey.url, cors_origins=(APP,)) as gateway:
        assert (await _answer(gateway.port, "OPTIONS", "/v1/rounds", *asked)).status == 405


async def test_a_connection_beyond_the_bound_may_be_read_by_its_page(valkey: Server) -> None:
    """The app sees 503 and `Retry-After`, in its language, rather than a failure without a reason."""
    async with serving.gateway(valkey.url, cors_origins=(APP,), most_connections=0) as gateway:
        fields = (f"Origin: {APP}", "Accept-Language: zh-CN")
        answer = await _answer(gateway.port, "GET", "/v1/rounds", *fields)
        assert (answer.status, answer.document["detail"]) == (503, "当前连接数已满。")
        assert answer.headers["access-control-allow-origin"] == APP
        assert answer.headers["vary"] == "Origin, Accept-Language"
        assert answer.headers["content-language"] == "zh-Hans"
        for origins in ([FOREIGN], [APP, FOREIGN], []):
            answer = await _answer(gateway.port, "GET", "/v1/rounds", *(f"Origin: {origin}" for origin in origins))
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["vary"] == "Origin, Accept-Language"


async def test_what_is_no_http_varies_too(valkey: Server) -> None:
    """Its origin is not known, so no page may read the answer."""
    async with serving.gateway(valkey.url, cors_origins=(APP,)) as gateway, connected(gateway.port) as client:
        assert await client.send(b"nonsense\r\nOrigin: https://app.example\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.headers["vary"]) == (400, "Origin, Accept-Language")
        assert "access-control-allow-origin" not in answer.headers


async def test_the_console_has_no_cors(valkey: Server) -> None:
    """No page of another origin may call it."""
    async with serving.console(valkey.url) as console:
        fields = (f"Origin: {APP}", "Access-Control-Request-Method: GET")
        for method in ("OPTIONS", "GET"):
            answer = await _answer(console.port, method, "/admin/v1/rounds", *fields)
            assert answer.status in (401, 405)
            assert not [name for name in answer.headers if name.startswith("access-control")]


def test_lines_are_made_once() -> None:
    """The lane takes them for each answer."""
    cors = Cors((APP,))
    assert cors.lines[APP.encode()] is cors.lines[APP.encode()]
    assert cors.lines[FOREIGN.encode()] is cors.lines[b""]
    assert cors.lines[b""].answer == b"Vary: Origin\r\n"
    assert Cors().lines[APP.encode()] is WITHOUT_CORS
    assert WITHOUT_CORS.answer == b""


async def test_lane_and_handlers_share_the_origins(valkey: Server) -> None:
    """One object in the context of both doors."""
    async with serving.gateway(valkey.url, cors_origins=(APP,)) as gateway:
        assert gateway.front.context.cors.lines[APP.encode()].headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] == APP
