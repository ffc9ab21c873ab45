"""The gateway's aiohttp application: its routes, its middleware, and the objects that handlers find in it."""

from aiohttp import web

from claimd.contract.openapi import PUBLIC_API
from claimd.gateway import claims, passes, rounds
from claimd.gateway.context import CONTEXT, Context
from claimd.gateway.watching import watch_round
from claimd.http import caching, cors
from claimd.http.cors import CORS, preflights
from claimd.http.documentation.handlers import documentation_routes
from claimd.http.health import READINESS, healthz, readyz
from claimd.http.middleware import COUNTS, problems
from claimd.metrics.counts import Counts


def create_app(context: Context, counts: Counts) -> web.Application:
    """The public API, with the routes of `claimd.contract.routes.PUBLIC_ROUTES`."""
    app = web.Application(middlewares=[preflights, problems])
    app[CONTEXT], app[COUNTS], app[READINESS] = context, counts, context.readiness
    app[CORS] = context.cors
    app.on_response_prepare.extend((caching.on_prepare, cors.on_prepare))
    app.on_shutdown.append(context.live_rounds.stop)
    app[rounds.ROUND_LISTS] = rounds.round_lists(context.rounds)
    app.add_routes(
        [
            web.post("/v1/rounds/{round_id}/claims", claims.claim),
            web.get("/v1/rounds/{round_id}/claims/me", claims.show_my_claim),
            web.post("/v1/rounds/{round_id}/passes", passes.issue_pass),
            web.get("/v1/rounds", rounds.list_rounds),
            web.get("/v1/rounds/{round_id}", rounds.show_round),
            web.get("/v1/rounds/{round_id}/events", watch_round),
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            *documentation_routes(PUBLIC_API),
        ]
    )
    return app
