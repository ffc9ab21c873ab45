"""Only who knows the admin token gets in: the middleware in front of `/admin/`."""

from hmac import compare_digest
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from claimd.console.context import CONTEXT
from claimd.http.problems import refused


@web.middleware
async def admins_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """401 for whoever does not present the token; also for addresses that do not exist."""
    if request.path.startswith("/admin/"):
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        expected = request.app[CONTEXT].admin_token
        if scheme.lower() != "bearer" or not compare_digest(
            token.strip().encode(errors="surrogateescape"), expected.encode()
        ):
            raise refused(HTTPStatus.UNAUTHORIZED, "unauthenticated")
    return await handler(request)
