"""A real browser: a page of a configured origin claims by `fetch`, and a page of any other origin reads nothing."""

import asyncio
import html
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from claimd.domain.times import HOUR_MS
from tests.http import serving
from tests.http.serving import open_round, pass_for
from tests.rounds import now_ms
from tests.servers import Server

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Only a failing test ever waits that long.
BROWSER_SECONDS = 90.0

# Calls the API as an app does, and leaves what it could read in the page.
PAGE = """<!doctype html><pre id="found"></pre><script>
const API = %(api)s, PASS = %(pass)s;
const HEADERS = ["Retry-After", "ETag", "Date", "WWW-Authenticate", "Content-Language", "Content-Type"];
async function call(path, options) {
  try {
    const answer = await fetch(API + path, options);
    const headers = Object.fromEntries(HEADERS.map(name => [name, answer.headers.get(name)]));
    return {status: answer.status, document: await answer.json(), headers};
  } catch (error) {
    return {failed: error.name};
  }
}
const claim = path => call(path, {method: "POST", headers: {Authorization: "Pass " + PASS}});
(async () => {
  const found = {
    round: await call("/v1/rounds/night"),
    conditional: await call("/v1/rounds/night", {headers: {"If-None-Match": '"none"'}}),
    granted: await claim("/v1/rounds/night/claims"),
    mine: await call("/v1/rounds/night/claims/me", {headers: {Authorization: "Pass " + PASS}}),
    outside: await claim("/v1/rounds/later/claims"),
    early: await call("/v1/rounds/later/claims",
      {method: "POST", headers: {Authorization: "Pass " + %(early)s, "Content-Type": "application/json"}, body: "{}"}),
    nowhere: await call("/nowhere"),
    foreign: await call("/v1/rounds", {method: "DELETE"}),
  };
  document.getElementById("found").textContent = JSON.stringify(found);
})();
</script>"""


@asynccontextmanager
async def _pages(content: dict[str, str]) -> AsyncIterator[int]:
    """A server of another origin than the API's, which serves `content["page"]`; its port."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=content["page"], content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _visit(url: str, profile: Path, language: str) -> dict[str, Any]:
    """What the page at `url` found, by the DOM that the browser prints when the page is idle."""
    assert BROWSER is not None
    browser = await asyncio.create_subprocess_exec(
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
        f"--accept-lang={language}",
        "--virtual-time-budget=30000",
        "--dump-dom",
        url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(BROWSER_SECONDS):
            printed, _ = await browser.communicate()
    finally:
        if browser.returncode is None:
            browser.kill()
            await browser.wait()
    found = re.search(r'<pre id="found">(.*?)</pre>', printed.decode(), re.DOTALL)
    assert found, printed.decode()
    assert found[1], "the page did not finish"
    document: dict[str, Any] = json.loads(html.unescape(found[1]))
    return document


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")
@pytest.mark.timeout(240)
async def test_a_page_of_a_known_origin_claims_and_another_reads_nothing(valkey: Server, tmp_path: Path) -> None:
    """Rounds, grants, problems and the headers that an app needs; a claim by a foreign page is never even sent."""
    content = {"page": ""}
    async with _pages(content) as page_port:
        known, foreign = f"http://127.0.0.1:{page_port}", f"http://localhost:{page_port}"
        async with serving.gateway(valkey.url, cors_origins=(known,)) as gateway:
            await open_round(gateway.store)
            opens_at_ms = now_ms() + HOUR_MS
            await open_round(gateway.store, "later", opens_at_ms=opens_at_ms, closes_at_ms=opens_at_ms + HOUR_MS)
            api = f"http://127.0.0.1:{gateway.port}"

            def page(sub: str) -> str:
                given = {"api": api, "pass": pass_for(sub), "early": pass_for(sub, "later")}
                return PAGE % {name: json.dumps(value) for name, value in given.items()}

            content["page"] = page("foreign")
            found = await _visit(foreign, tmp_path / "foreign", "en")
            assert found == {name: {"failed": "TypeError"} for name in found}
            assert (await gateway.stored_round()).issued == 0

            content["page"] = page("ada")
            found = await _visit(known, tmp_path / "known", "zh-CN,zh,en")
            assert found["round"]["status"] == found["conditional"]["status"] == 200
            assert found["round"]["headers"]["Date"]
            assert (found["granted"]["status"], found["mine"]["status"]) == (201, 200)
            assert found["mine"]["document"]["claim"] == found["granted"]["document"]["claim"]
            assert found["outside"]["status"] == 401
            assert "error_description" in found["outside"]["headers"]["WWW-Authenticate"]
            assert (found["early"]["status"], found["early"]["document"]["code"]) == (409, "not_open")
            assert found["early"]["document"]["title"] == "本轮尚未开始。"
            assert found["early"]["headers"]["Content-Language"] == "zh-Hans"
            assert 3500 < int(found["early"]["headers"]["Retry-After"]) <= 3600
            assert (found["nowhere"]["status"], found["nowhere"]["document"]["code"]) == (404, "not_found")
            # The preflight does not name DELETE.
            assert found["foreign"] == {"failed": "TypeError"}
            assert (await gateway.stored_round()).issued == 1
