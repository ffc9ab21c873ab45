"""`GET /metrics`: rounds as they are, and what all gateways have counted."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from claimd.console.context import CONTEXT
from claimd.metrics.counts import Snapshot
from claimd.metrics.exposition import exposition


async def metrics(request: web.Request) -> web.Response:
    """Prometheus' text format; needs no token, and names no person."""
    store = request.app[CONTEXT].store
    saved = await store.load_counts()
    now_ms, rounds = await store.rounds()
    body = exposition([Snapshot.load(text) for text in saved.values()], now_ms, rounds)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
