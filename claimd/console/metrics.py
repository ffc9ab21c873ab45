"""`GET /metrics`: the state of rounds, and the counts of all gateways. Always 200, also while the server is away.

With `?round=` it shows that round alone, and errors are problems as on other routes.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from claimd.console.context import CONTEXT
from claimd.contract.problems import Code
from claimd.domain.rounds import is_round_id
from claimd.http.paging import parameters
from claimd.http.problems import reject
from claimd.metrics.exposition import exposition, round_exposition
from claimd.metrics.tally import Tally, tally
from claimd.metrics.trouble import Trouble
from claimd.store.errors import StoreError
from claimd.store.ports import CountsStore, RoundReader

# Rounds that have been over for longer are left out, so that a scrape does not grow with every past round.
_OVER_FOR_MS = 24 * 3600 * 1000
_MOST_ROUNDS = 1000

# Prometheus waits for 10 seconds by default.
_READ_SECONDS = 4.0

_T = TypeVar("_T")

_log = logging.getLogger(__name__)

SCRAPES = web.AppKey("scrapes", Trouble)


def scrapes() -> Trouble:
    """Logs scrapes that could not be answered completely."""
    return Trouble(_log, "reading metrics", time.monotonic)


async def metrics(request: web.Request) -> web.Response:
    """Prometheus' text format; needs no token, and names no person."""
    context, trouble, asked = request.app[CONTEXT], request.app[SCRAPES], parameters(request.query, ("round",))
    if "round" in asked:
        return _response(await _of_round(context.rounds, context.counts, asked["round"]))
    rounds, counted = await asyncio.gather(
        _tried(context.rounds.recent_rounds(_OVER_FOR_MS, _MOST_ROUNDS), trouble),
        _tried(_counted(context.counts), trouble),
    )
    if rounds is not None and counted is None:
        counted = Tally(unreadable=1)
    elif rounds is not None:
        trouble.worked()
    return _response(exposition(rounds, counted))


async def _of_round(rounds: RoundReader, counts: CountsStore, round_id: str) -> bytes:
    reading = await rounds.round(round_id) if is_round_id(round_id) else None
    if reading is None or reading.round is None:
        raise reject(Code.ROUND_NOT_FOUND)
    return round_exposition(reading.round, reading.now_ms, await _counted(counts))


def _response(body: bytes) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _counted(counts: CountsStore) -> Tally:
    return tally(await counts.load())


async def _tried(read: Coroutine[Any, Any, _T], trouble: Trouble) -> _T | None:
    """The result of `read`; None, and a line in the log, where it failed or took too long."""
    task = asyncio.ensure_future(read)
    # Not a timeout around it: the Redis library swallows a cancellation in the middle of a call.
    await asyncio.wait({task}, timeout=_READ_SECONDS)
    if not task.done():
        task.cancel()
        trouble.failed(TimeoutError(f"no answer within {_READ_SECONDS:.0f} s"))
        return None
    error = task.exception()
    if error is None:
        return task.result()
    if not isinstance(error, Exception):
        raise error
    trouble.failed(error, unexpected=not isinstance(error, StoreError))
    return None
