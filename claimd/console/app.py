"""The console's aiohttp application: its routes, its middleware, and the objects that handlers find in it."""

from aiohttp import web

from claimd.console import archive, audit, claims, log, rounds
from claimd.console.access import admins_only
from claimd.console.context import CONTEXT, Context
from claimd.console.metrics import SCRAPES, metrics, scrapes
from claimd.contract.openapi import CONSOLE_API
from claimd.domain.log import EditAction
from claimd.http.caching import on_prepare
from claimd.http.cors import CORS, Cors
from claimd.http.documentation.handlers import documentation_routes
from claimd.http.health import READINESS, healthz, readyz
from claimd.http.middleware import COUNTS, problems
from claimd.metrics.counts import Counts


def create_app(context: Context) -> web.Application:
    """The console API, with the routes of `claimd.contract.routes.CONSOLE_ROUTES`."""
    app = web.Application(middlewares=[problems, admins_only])
    app[CONTEXT], app[COUNTS], app[READINESS] = context, Counts(), context.readiness
    app[CORS] = Cors()
    app[SCRAPES] = scrapes()
    app.on_response_prepare.append(on_prepare)
    one = "/admin/v1/rounds/{round_id}"
    app.add_routes(
        [
            web.post("/admin/v1/rounds", rounds.create),
            web.get("/admin/v1/rounds", rounds.list_all),
            web.get(one, rounds.show),
            web.patch(one, rounds.edit),
            web.delete(one, rounds.delete),
            web.post(f"{one}/pause", rounds.command(EditAction.PAUSE, {"paused": True})),
            web.post(f"{one}/resume", rounds.command(EditAction.RESUME, {"paused": False})),
            web.post(f"{one}/close", rounds.command(EditAction.CLOSE, {"closed": True})),
            web.post(f"{one}/passes/revoke", rounds.command(EditAction.REVOKE_PASSES, {})),
            web.post(f"{one}/archive", archive.archive),
            web.get(f"{one}/log", log.log),
            web.get(f"{one}/audit", audit.audit),
            web.get(f"{one}/claims", audit.claims),
            web.post(f"{one}/claims/find", claims.find),
            web.post(f"{one}/claims/{{claim}}/void", claims.void),
            web.get("/metrics", metrics),
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            *documentation_routes(CONSOLE_API),
        ]
    )
    return app
