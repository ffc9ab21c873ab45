"""The operators' routes need the admin token on the console's port, and do not exist on the public port."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from claimd.compose.console import build_console
from claimd.gateway.lane.connection import Lane
from claimd.http.aiohttp_door import AiohttpDoor
from claimd.store.redis.store import RedisStore
from tests.http import serving
from tests.http.answers import checked_problem, problem
from tests.http.raw import connected
from tests.http.serving import ADMIN, ADMIN_TOKEN, Served, open_round, with_pass
from tests.patience import patient_store
from tests.servers import Server

OPEN = {"/metrics", "/healthz", "/readyz", "/docs", "/admin/v1/openapi.json"}


def _console_routes() -> Iterator[tuple[str, str]]:
    """Every method and address the console has, for the round `night`."""
    store = RedisStore.connect("unix:///nonexistent/socket")
    for route in build_console(store, ADMIN_TOKEN, Path(), embedded=False).router.routes():
        assert route.resource is not None
        yield route.method, route.resource.canonical.replace("{round_id}", "night").replace("{claim}", "a-1")


ROUTES = sorted(set(_console_routes()))
ADMIN_ROUTES = [(method, path) for method, path in ROUTES if path not in OPEN]
# Some are the same address for the router, some are not, and some are for a proxy that passes on what it has not
# understood; for the console they are all under lock.
SPELLINGS = {
    "as it is": lambda path: path,
    "two slashes": lambda path: "/" + path,
    "two slashes within": lambda path: path.replace("/v1", "//v1"),
    "slash at the end": lambda path: path + "/",
    "escaped slash": lambda path: path.replace("/v1", "%2fv1"),
    "all slashes escaped": lambda path: "/" + path[1:].replace("/", "%2F"),
    "escaped twice": lambda path: path.replace("/v1", "%252fv1"),
    "escaped letter": lambda path: path.replace("/admin", "/%61dmin"),
    "escaped letter twice": lambda path: path.replace("/admin", "/%2561dmin"),
    "capitals": lambda path: path.replace("/admin", "/ADMIN"),
    "one capital": lambda path: path.replace("/admin", "/Admin"),
    "dot": lambda path: "/." + path,
    "dots": lambda path: "/x/.." + path,
    "dots escaped": lambda path: "/metrics/%2e%2e" + path,
    "dots over the top": lambda path: "/.." + path,
    "dots within": lambda path: path.replace("/v1", "/v1/../v1"),
    "open route first": lambda path: "/healthz/.." + path,
    "backslash": lambda path: path.replace("/admin", "/\\admin"),
    "parameter": lambda path: path.replace("/admin", "/admin;x=y"),
    "query": lambda path: path + "?token=x&/metrics",
    "fragment": lambda path: path + "#/metrics",
    "zero": lambda path: path.replace("/admin", "/admin%00"),
    "line feed": lambda path: path.replace("/admin", "/%0aadmin"),
    "looks alike": lambda path: path.replace("/admin", "/%EF%BD%81dmin"),
    "whole address": lambda path: "http://x" + path,
    "whole address of another": lambda path: "http://x/metrics/.." + path,
    "no slash": lambda path: path[1:],
    "blank": lambda path: path.replace("/admin", "/admin%20"),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
async def test_no_spelling_of_an_address_goes_around_the_token(console: Served, spelling: Any) -> None:
    """401 where it is an address of the operators', or under theirs; 404 or 400 where it is none; never an answer."""
    await open_round(console.store)
    as_it_is = spelling("/admin") == "/admin" and spelling("/v1") == "/v1"
    for method, path in ADMIN_ROUTES:
        for who in ("", "Authorization: Bearer wrong\r\n"):
            async with connected(console.port) as raw:
                await raw.send(f"{method} {spelling(path)} HTTP/1.1\r\nHost: x\r\n{who}\r\n".encode())
                answer = await raw.answer(bodiless=method == "HEAD")
                assert answer.status == 401 if as_it_is else answer.status in (400, 401, 404), answer
                if method != "HEAD":
                    code = answer.document["code"]
                    checked_problem(answer.status, answer.headers["content-type"], answer.body, code)
    item = (await console.store.rounds.round("night")).round
    assert item is not None
    assert (item.version, item.paused, item.closed) == (1, False, False)


async def test_a_route_that_is_added_later_needs_the_token(valkey: Server) -> None:
    """Whatever its address: only what is open by name is open."""
    store = patient_store(valkey.url)
    app = build_console(store, ADMIN_TOKEN, Path(), embedded=False)

    async def say_everything(request: web.Request) -> web.Response:
        return web.Response(text="everything")

    app.router.add_get("/debug", say_everything)
    async with serving._serving(app, None, store, None, None) as served:
        await problem(await served.http.get("/debug"), 401, "unauthenticated")
        # By a session that knows of no table of routes.
        async with aiohttp.request("GET", f"http://127.0.0.1:{served.port}/debug", headers=ADMIN) as answer:
            assert await answer.text() == "everything"
        for path in sorted(OPEN):
            assert (await served.http.get(path)).status == 200


async def test_another_method_of_an_open_address_is_405(console: Served) -> None:
    """Also under `/admin/`: the token would not help."""
    for path in sorted(OPEN):
        await problem(await console.http.delete(path), 405, "method_not_allowed")


@pytest.mark.parametrize("door", [Lane, AiohttpDoor])
async def test_the_public_port_has_nothing_of_the_consoles(valkey: Server, door: Any) -> None:
    """404 not_found for each of its routes, with the right token, by each door; also where the lane was before."""
    async with serving.gateway(valkey.url, door=door) as gateway:
        await open_round(gateway.store)
        for method, path in ROUTES:
            if path in ("/healthz", "/readyz", "/docs"):
                continue
            answer = await gateway.http.request(method, path, headers=ADMIN)
            assert answer.status == 404
            if method != "HEAD":
                await problem(answer, 404, "not_found")
        # On a connection that was the lane's, too.
        async with connected(gateway.port) as raw:
            who = with_pass("ada")["Authorization"]
            claim = f"POST /v1/rounds/night/claims HTTP/1.1\r\nHost: x\r\nAuthorization: {who}"
            show = f"GET /admin/v1/rounds HTTP/1.1\r\nHost: x\r\nAuthorization: {ADMIN['Authorization']}"
            for request, status in ((claim, 201), (show, 404)):
                await raw.send(f"{request}\r\n\r\n".encode())
                answered = await raw.answer()
                assert answered.status == status


async def test_a_pass_or_a_token_of_a_person_opens_nothing(console: Served) -> None:
    """Nor does the admin token claim: each key for its own door."""
    await open_round(console.store)
    for credentials in (with_pass("ada"), {"Authorization": f"Pass {ADMIN_TOKEN}"}):
        for method, path in ADMIN_ROUTES:
            answer = await console.http.request(method, path, headers=credentials)
            assert answer.status == 401


async def test_the_admin_token_claims_nothing(valkey: Server) -> None:
    """The admin token is no credential of the public API."""
    async with serving.gateway(valkey.url) as gateway:
        await open_round(gateway.store)
        for scheme in ("Bearer", "Pass"):
            headers = {"Authorization": f"{scheme} {ADMIN_TOKEN}"}
            answer = await gateway.http.post("/v1/rounds/night/claims", headers=headers)
            await problem(answer, 401, "unauthenticated")


def test_every_route_was_walked() -> None:
    """The list is read from the application itself, and is that of `claimd.contract.routes`."""
    assert {path for _, path in ADMIN_ROUTES} == {
        "/admin/v1/rounds",
        *(
            f"/admin/v1/rounds/night{rest}"
            for rest in (
                *("", "/pause", "/resume", "/close", "/passes/revoke", "/archive", "/audit", "/claims", "/log"),
                *("/claims/find", "/claims/a-1/void"),
            )
        ),
    }
