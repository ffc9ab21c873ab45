"""A real browser: `EventSource` gets the events, reconnects when a stream ends, and gives up when the round is gone."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from claimd.gateway.context import CONTEXT
from tests.http.raw import until
from tests.http.serving import Served, open_round

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Only a failing test ever waits that long.
BROWSER_SECONDS = 60.0

# Reports what it sees to the server that it came from.
PAGE = """<!doctype html><script>
const report = found => fetch("/found", {method: "POST", body: JSON.stringify(found)});
const events = new EventSource("%s/v1/rounds/night/events");
events.addEventListener("round", event => report({tag: event.lastEventId, round: JSON.parse(event.data)}));
events.onerror = () => report({closed: events.readyState === EventSource.CLOSED});
</script>"""


class Reports:
    """What the page has reported and the test has not read yet."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def take(self, request: web.Request) -> web.Response:
        """A handler for the page's requests."""
        self._queue.put_nowait(await request.json())
        return web.Response()

    async def next(self) -> dict[str, Any]:
        """The next report."""
        return await asyncio.wait_for(self._queue.get(), BROWSER_SECONDS)


@asynccontextmanager
async def visited(api_port: int, profile: Path) -> AsyncIterator[Reports]:
    """A browser on the page. It may read other origins, as if the gateway had allowed the page's."""
    reports = Reports(api_port)

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE % f"http://127.0.0.1:{api_port}", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_post("/found", reports.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    assert BROWSER is not None
    browser = await asyncio.create_subprocess_exec(
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-web-security",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
        f"http://127.0.0.1:{runner.addresses[0][1]}/",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield reports
    finally:
        browser.terminate()
        await browser.wait()
        await runner.cleanup()


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")
@pytest.mark.timeout(240)
async def test_a_page_listens(gateway: Served, tmp_path: Path) -> None:
    """The whole state first, then changes; after the end of a stream the state again; at 404 no more."""
    await open_round(gateway.store)
    async with visited(gateway.port, tmp_path) as reports:
        first = await reports.next()
        assert first["round"]["title"] == "A night"
        await gateway.store.rounds.round_edit("night", {"title": "Another night"}, "for a test")
        second = await reports.next()
        assert second["round"]["title"] == "Another night"
        assert second["tag"].startswith('W/"')
        assert second["tag"] != first["tag"]
        for connection in tuple(gateway.behind.connections):
            assert connection.transport is not None
            connection.transport.abort()
        assert await reports.next() == {"closed": False}
        assert await reports.next() == second
        await gateway.store.rounds.round_delete("night", "for a test")
        assert await reports.next() == {"closed": False}
        assert await reports.next() == {"closed": True}
        await until(lambda: gateway.app[CONTEXT].live_rounds.listeners == 0)
