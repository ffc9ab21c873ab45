"""The middleware that requires the admin token on every route except those that are open by name."""

from hmac import compare_digest

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from claimd.console.context import CONTEXT
from claimd.contract.problems import Code
from claimd.contract.routes import CONSOLE_DOCUMENT_ROUTE, PAGE_ROUTE
from claimd.http.problems import reject

# A new route needs the token, whatever its address, until it is named here.
# The documentation is the same on every installation, and holds nothing of this one.
_OPEN = frozenset(("/healthz", "/metrics", "/readyz", PAGE_ROUTE.path, CONSOLE_DOCUMENT_ROUTE.path))


@web.middleware
async def admins_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Reject a request without the admin token with 401, also at addresses under `/admin/` that do not exist."""
    if not _is_open(request) and not _is_admin(request):
        raise reject(Code.UNAUTHENTICATED)
    return await handler(request)


def _is_open(request: web.Request) -> bool:
    # By the route that the router found, not by the path, which can be spelled in several ways. Without a route the
    # answer is 404, or 405 for another method, and nothing is behind it.
    resource = request.match_info.route.resource
    if resource is not None:
        return resource.canonical in _OPEN
    return request.path in _OPEN or not request.path.startswith("/admin/")


def _is_admin(request: web.Request) -> bool:
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    expected = request.app[CONTEXT].admin_token
    return scheme.lower() == "bearer" and compare_digest(
        token.strip().encode(errors="surrogateescape"), expected.encode()
    )
