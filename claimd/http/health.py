"""`GET /healthz` and `GET /readyz`, on the gateway and on the console."""

import asyncio

import orjson
from aiohttp import web

from claimd.contract import details
from claimd.contract.problems import Code
from claimd.http.problems import ProblemError, retry_later
from claimd.store.errors import StoreUnavailable
from claimd.store.ports import Readiness

READINESS = web.AppKey("readiness", Readiness)

_READY_TIMEOUT_SECONDS = 2.0


async def healthz(request: web.Request) -> web.Response:  # noqa: ARG001 - a handler's shape
    """`GET /healthz`: 200 as long as the process lives."""
    return web.Response(body=orjson.dumps({"status": "ok"}), content_type="application/json")


async def readyz(request: web.Request) -> web.Response:
    """`GET /readyz`: 200 if claims can be decided, 503 if the server does not answer within 2 s."""
    try:
        async with asyncio.timeout(_READY_TIMEOUT_SECONDS):
            await request.app[READINESS].ping()
    except (StoreUnavailable, TimeoutError):
        raise ProblemError(retry_later(Code.UNAVAILABLE, details.NO_ANSWER_OF_SERVER())) from None
    return web.Response(body=orjson.dumps({"status": "ready"}), content_type="application/json")
