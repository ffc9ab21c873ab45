"""`docs/nginx.conf`, as it stands, in front of a real gateway: what it keeps, passes on and refuses."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from claimd.contract.headers import EXPOSED, NO_STORE, SHORTLY
from claimd.contract.limits import IDLE_SECONDS
from claimd.gateway.events.live_rounds import EventLimits
from claimd.http.cors import Cors
from tests.gateway.events.streams import listening
from tests.http import serving
from tests.http.answers import PROBLEM
from tests.http.raw import connected, until
from tests.http.serving import Served, open_round, with_pass
from tests.patience import PATIENCE_SECONDS
from tests.servers import Server, free_port

RECIPE = (Path(__file__).parents[2] / "docs" / "nginx.conf").read_text()
ORIGIN = "https://app.example.com"
# The careless configuration: it caches every GET.
NAIVE = """
upstream claimd { server 127.0.0.1:8080; }
proxy_cache_path /var/cache/nginx/claimd keys_zone=everything:1m;
server {
    listen 80;
    location / {
        proxy_pass http://claimd;
        proxy_cache everything;
        proxy_cache_valid 200 1h;
        add_header X-Cache-Status $upstream_cache_status always;
    }
}
"""
# The tests ask more often than a person does, all from one address.
WITHOUT_LIMITS = RECIPE.replace("rate=50r/s", "rate=10000r/s")

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")


@dataclass(frozen=True, slots=True)
class Behind:
    """A gateway, and a client of the nginx in front of it."""

    gateway: Served
    http: aiohttp.ClientSession
    port: int

    @property
    def upstream(self) -> int:
        """How many connections nginx has to the gateway."""
        return len(self.gateway.front.connections) + len(self.gateway.behind.connections)


@asynccontextmanager
async def behind_nginx(
    url: str, recipe: str, gateway_port: int | None = None, event_limits: EventLimits | None = None
) -> AsyncIterator[Behind]:
    """Run nginx with that recipe in front of a gateway; `gateway_port` for one that is not there."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="claimd-test-") as folder:
        async with serving.gateway(url, event_limits=event_limits) as gateway:
            for old, new in (
                ("listen 80;", f"listen 127.0.0.1:{port};"),
                ("server 127.0.0.1:8080;", f"server 127.0.0.1:{gateway_port or gateway.port};"),
                ("/var/cache/nginx/claimd", f"{folder}/cache"),
            ):
                assert old in recipe
                recipe = recipe.replace(old, new)
            process = _start(Path(folder), recipe)
            try:
                await _until_it_listens(port, process)
                timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
                async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", timeout=timeout) as session:
                    yield Behind(gateway, session, port)
            finally:
                process.terminate()
                process.wait()


def _start(folder: Path, recipe: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["nginx", "-e", folder / "log", "-c", _configuration(folder, recipe)])


def _configuration(folder: Path, recipe: str) -> str:
    (folder / "claimd.conf").write_text(recipe)
    temporary = "".join(
        f"    {name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off;\npid {folder}/pid;\nerror_log {folder}/log warn;\nworker_processes 1;\n"
        + ("user root;\n" if os.geteuid() == 0 else "")
        + "events { worker_connections 512; }\n"
        + f"http {{\n    access_log off;\n{temporary}    include {folder}/claimd.conf;\n}}\n"
    )
    return str(folder / "nginx.conf")


async def _until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            assert process.poll() is None, "nginx has ended: see its error log"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                await asyncio.sleep(0.01)
                continue
            writer.close()
            return


@pytest.fixture
async def behind(valkey: Server) -> AsyncIterator[Behind]:
    """The recipe, for a client that asks a lot."""
    async with behind_nginx(valkey.url, WITHOUT_LIMITS) as behind:
        await open_round(behind.gateway.store, total=2)
        yield behind


async def _me(behind: Behind, sub: str | None) -> tuple[int, str]:
    headers = with_pass(sub) if sub else {}
    async with behind.http.get("/v1/rounds/night/claims/me", headers=headers) as answer:
        document = await answer.json(content_type=None)
        assert "X-Cache-Status" not in answer.headers or answer.headers["X-Cache-Status"] in ("MISS", "EXPIRED")
        return answer.status, document["claim"]["id"] if answer.status == 200 else document["code"]


@pytest.mark.parametrize("recipe", [WITHOUT_LIMITS, NAIVE], ids=["recipe", "one that keeps all it may"])
async def test_no_person_gets_anothers_answer(valkey: Server, recipe: str) -> None:
    """In any order of requests each person gets their own claim, and a stranger none; also behind a careless proxy."""
    async with behind_nginx(valkey.url, recipe) as behind:
        await open_round(behind.gateway.store)
        mine = {}
        for sub in ("ada", "bob"):
            async with behind.http.post("/v1/rounds/night/claims", headers=with_pass(sub)) as answer:
                assert answer.status == 201
                mine[sub] = (await answer.json())["claim"]["id"]
        for _ in range(3):
            assert await _me(behind, "ada") == (200, mine["ada"])
            assert await _me(behind, "bob") == (200, mine["bob"])
            assert await _me(behind, "cid") == (404, "not_claimed")
            assert await _me(behind, None) == (401, "unauthenticated")


async def test_claims_are_decided_each_time_over_connections_that_stay(behind: Behind) -> None:
    """One connection to claimd does for one client, and what comes over it is served by the claim lane."""
    statuses = []
    for sub in ("ada", "ada", "bob", "cid", "ada"):
        async with behind.http.post("/v1/rounds/night/claims", headers=with_pass(sub)) as answer:
            statuses.append(answer.status)
            assert "X-Cache-Status" not in answer.headers
            assert answer.headers["Cache-Control"] == "no-store"
        assert (behind.upstream, len(behind.gateway.front.connections)) == (1, 1)
    assert statuses == [201, 200, 201, 409, 200]


@pytest.mark.parametrize("path", ["/v1/rounds", "/v1/rounds/night"])
async def test_rounds_are_kept_for_a_second(behind: Behind, path: str) -> None:
    """Further requests get the cached answer; an edit shows soon; one with credentials is not answered from it."""

    async def ask(**headers: str) -> tuple[str, str]:
        async with behind.http.get(path, headers=headers) as answer:
            assert answer.status == 200
            assert answer.headers["Cache-Control"] == (NO_STORE if path == "/v1/rounds" else SHORTLY)
            return answer.headers["X-Cache-Status"], await answer.text()

    async with asyncio.timeout(PATIENCE_SECONDS):
        _, first = await ask()
        while (kept := await ask())[0] != "HIT":
            first = kept[1]
        assert kept[1] == first
        assert (await ask(Authorization="Bearer x"))[0] == "BYPASS"
        await behind.gateway.store.rounds.round_edit("night", {"title": "Another night"}, "for a test")
        while "Another night" not in (await ask())[1]:  # noqa: ASYNC110 - nginx has no event for it
            await asyncio.sleep(0.05)


async def test_errors_are_not_kept(behind: Behind) -> None:
    """A new round shows at once, also after a request that came too early."""
    async with behind.http.get("/v1/rounds/later") as answer:
        assert answer.status == 404
    await open_round(behind.gateway.store, "later")
    async with behind.http.get("/v1/rounds/later") as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/readyz", "/metrics", "/v1/../healthz", "/v1/%2e%2e/healthz", "/v1/..%2fhealthz", "/v1"]
)
async def test_no_other_address_is_passed_on(behind: Behind, path: str) -> None:
    """Only what is under /v1/, however it is spelled."""
    async with connected(behind.port) as client:
        assert await client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert (await client.rest()).startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 301 "))
        assert behind.upstream == 0


async def test_events_come_through_at_once(valkey: Server) -> None:
    """Each as it is written, comments too, and from claimd alone; a client that leaves is gone from the gateway."""
    often = EventLimits(comment_seconds=0.05)
    async with behind_nginx(valkey.url, RECIPE, event_limits=often) as behind:
        await open_round(behind.gateway.store)
        async with listening(behind.port, headers=f"Origin: {ORIGIN}\r\n", proxied=True) as stream:
            assert (await stream.event()).round["issued"] == 0
            assert stream.headers["access-control-allow-origin"] == ORIGIN
            for number in range(2):
                await stream.comment()
                await behind.gateway.store.rounds.round_edit("night", {"title": f"Night {number}"}, "for a test")
                await stream.until(title=f"Night {number}")
            assert behind.upstream == 1
        await until(lambda: behind.upstream == 0)


async def test_streams_end_behind_nginx_as_before_it(behind: Behind) -> None:
    """With the round; then it is 404."""
    async with listening(behind.port, proxied=True) as stream:
        await stream.event()
        await behind.gateway.store.rounds.round_delete("night", "for a test")
        assert await stream.event_or_end() is None
    async with behind.http.get("/v1/rounds/night/events") as answer:
        document = await answer.json(content_type=None)
        assert (answer.status, document["code"]) == (404, "round_not_found")


async def test_addresses_have_limits(valkey: Server) -> None:
    """A flood from one address is refused as claimd would refuse it, and the rest of it is served."""
    async with behind_nginx(valkey.url, RECIPE) as behind:
        await open_round(behind.gateway.store)

        async def ask() -> int:
            async with behind.http.get("/v1/rounds/night/claims/me", headers={"Origin": ORIGIN}) as answer:
                document = await answer.json(content_type=None)
                if answer.status == 429:
                    assert (document["code"], answer.content_type) == ("rate_limited", PROBLEM)
                    assert answer.headers["Retry-After"] == "2"
                    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
                return answer.status

        told: Counter[int] = Counter()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not told[429]:
                told.update(await asyncio.gather(*(ask() for _ in range(300))))
        assert set(told) == {401, 429}
        assert told[401] >= 200


async def test_a_gateway_that_is_gone_is_unavailable(valkey: Server) -> None:
    """In the form that clients know, with a Retry-After: claiming again is safe."""
    async with (
        behind_nginx(valkey.url, RECIPE, gateway_port=free_port()) as behind,
        behind.http.post("/v1/rounds/night/claims", headers=with_pass("ada")) as answer,
    ):
        document = await answer.json(content_type=None)
        assert (answer.status, document["code"], answer.content_type) == (503, "unavailable", PROBLEM)
        assert (answer.headers["Retry-After"], answer.headers["Cache-Control"]) == ("2", "no-store")


async def test_a_large_body_is_rejected(behind: Behind) -> None:
    """Before it is read, by nginx, and between 4 and 8 KiB by claimd: alike."""
    for size in (5000, 100_000):
        async with behind.http.post("/v1/rounds/night/claims", data=b"x" * size, headers=with_pass("ada")) as answer:
            document = await answer.json(content_type=None)
            assert (answer.status, document["code"], answer.content_type) == (413, "too_large", PROBLEM)


@pytest.mark.parametrize(("origin", "allowed"), [(ORIGIN, ORIGIN), ("https://evil.example", None), (None, None)])
async def test_pages_of_known_origins_may_call(behind: Behind, origin: str | None, allowed: str | None) -> None:
    """nginx answers a preflight, and every answer has the header, errors as well; no other origin is allowed."""
    headers = {"Origin": origin} if origin else {}
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with behind.http.options("/v1/rounds/night/claims", headers=headers | asked) as answer:
        assert answer.status == 204
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed
        own = Cors((ORIGIN,)).preflight_headers(ORIGIN.encode(), ("GET", "HEAD", "POST"))
        for name in ("Access-Control-Allow-Headers", "Access-Control-Allow-Methods"):
            assert answer.headers[name] == own[name]
        assert behind.upstream == 0
    for method, path in (("POST", "/v1/rounds/night/claims"), ("GET", "/v1/rounds"), ("GET", "/v1/rounds/none")):
        async with behind.http.request(method, path, headers=headers) as answer:
            assert answer.headers.get("Access-Control-Allow-Origin") == allowed
            assert "Origin" in ", ".join(answer.headers.getall("Vary"))
            assert answer.headers["Access-Control-Expose-Headers"] == ", ".join(EXPOSED)


def test_its_keep_alive_ends_before_claimds() -> None:
    """Or a claim would meet a connection that claimd is closing."""
    assert "keepalive_timeout 60s;" in RECIPE
    assert IDLE_SECONDS > 60
