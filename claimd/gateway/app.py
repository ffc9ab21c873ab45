"""The gateway's aiohttp application: its routes, its middleware, and the objects that handlers find in it."""

import time

import orjson
from aiohttp import web

from claimd.gateway import claims, passes
from claimd.gateway.context import CONTEXT, Context
from claimd.gateway.round_lists import RoundLists
from claimd.http.caching import on_prepare
from claimd.http.health import READINESS, healthz, readyz
from claimd.http.middleware import COUNTS, problems
from claimd.http.paging import PageQuery
from claimd.http.rounds import read_round
from claimd.metrics.counts import Counts

ROUND_LISTS = web.AppKey("round_lists", RoundLists)


def create_app(context: Context, counts: Counts) -> web.Application:
    """The public API, with the routes of `claimd.contract.routes.PUBLIC_ROUTES`."""
    app = web.Application(middlewares=[problems])
    app[CONTEXT], app[COUNTS], app[READINESS] = context, counts, context.readiness
    app.on_response_prepare.append(on_prepare)
    app[ROUND_LISTS] = RoundLists(context.rounds, time.monotonic)
    app.add_routes(
        [
            web.post("/v1/rounds/{round_id}/claims", claims.claim),
            web.get("/v1/rounds/{round_id}/claims/me", claims.show_my_claim),
            web.post("/v1/rounds/{round_id}/passes", passes.issue_pass),
            web.get("/v1/rounds", list_rounds),
            web.get("/v1/rounds/{round_id}", show_round),
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
        ]
    )
    return app


async def list_rounds(request: web.Request) -> web.Response:
    """`GET /v1/rounds`: 200 with a page of rounds."""
    body = await request.app[ROUND_LISTS].document(PageQuery.parse(request.query))
    return web.Response(body=body, content_type="application/json")


async def show_round(request: web.Request) -> web.Response:
    """`GET /v1/rounds/{id}`: 200 with the round, 404 or 410."""
    body = orjson.dumps(await read_round(request.app[CONTEXT].rounds, request.match_info["round_id"]))
    return web.Response(body=body, content_type="application/json")
