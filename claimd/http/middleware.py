"""The one middleware: whatever a handler could not answer becomes a problem, never a traceback."""

import logging
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from claimd.http.problems import Problem, ProblemError, refused
from claimd.http.replies import retry_after
from claimd.metrics.counts import Counts
from claimd.store.errors import StoreUnavailable

# Headers that decide something here. Of two with different values, which one is meant is anybody's guess.
_SINGLE_HEADERS = (hdrs.AUTHORIZATION, hdrs.CONTENT_TYPE, hdrs.HOST)

_CODES = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
}

_log = logging.getLogger(__name__)

COUNTS = web.AppKey("counts", Counts)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error as a problem, and count it."""
    try:
        for name in _SINGLE_HEADERS:
            if len(request.headers.getall(name, ())) > 1:
                raise refused(HTTPStatus.BAD_REQUEST, "bad_request", f"The header {name} is there more than once.")
        return await handler(request)
    except ProblemError as error:
        problem = error.problem
    except StoreUnavailable as error:
        _log.warning("%s %s could not be answered: %s", request.method, request.path, error)
        problem = Problem(503, "unavailable", headers=retry_after())
    except web.HTTPException as error:
        problem = problem_of(error)
    except ConnectionError:
        # The client is gone, and with it whoever could be told.
        raise
    except Exception:
        # A bug. What it was doing is unknown, and asking again is safe: just what `unavailable` says.
        _log.exception("%s %s failed", request.method, request.path)
        problem = Problem(503, "unavailable", headers=retry_after())
    problem.count(request.app[COUNTS])
    return problem.response()


def problem_of(error: web.HTTPException) -> Problem:
    """The library's own refusals: no such route or method, an expectation it does not meet, …"""
    status = HTTPStatus(error.status)
    code = _CODES.get(status)
    if code is None:
        return Problem(400, "bad_request", error.reason)
    allow = {str(hdrs.ALLOW): error.headers[hdrs.ALLOW]} if hdrs.ALLOW in error.headers else {}
    return Problem(status, code, headers=allow)
