"""The one middleware: whatever a handler could not answer becomes a problem, never a traceback."""

import logging
from collections.abc import Mapping

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from claimd.contract.problems import PROBLEM_TYPES, Code
from claimd.http.problems import Problem, ProblemError, reject, retry_later
from claimd.metrics.counts import Counts
from claimd.store.errors import StoreUnavailable

# Headers that decide something here. Of two with different values, which one is meant is anybody's guess.
_SINGLE_HEADERS = (hdrs.AUTHORIZATION, hdrs.CONTENT_TYPE, hdrs.HOST)

# The library has a status alone.
_LIBRARY_CODES: Mapping[int, Code] = {
    PROBLEM_TYPES[code].status: code
    for code in (Code.NOT_FOUND, Code.METHOD_NOT_ALLOWED, Code.TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE)
}

_log = logging.getLogger(__name__)

COUNTS = web.AppKey("counts", Counts)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error as a problem, and count it."""
    try:
        for name in _SINGLE_HEADERS:
            if len(request.headers.getall(name, ())) > 1:
                raise reject(Code.BAD_REQUEST, f"The header {name} is there more than once.")
        return await handler(request)
    except ProblemError as error:
        problem = error.problem
    except StoreUnavailable as error:
        _log.warning("%s %s could not be answered: %s", request.method, request.path, error)
        problem = retry_later(Code.UNAVAILABLE)
    except web.HTTPException as error:
        problem = problem_of_library(error)
    except ConnectionError:
        # The client is gone, and with it whoever could be told.
        raise
    except Exception:
        # A bug. What it was doing is unknown, and asking again is safe: just what `unavailable` says.
        _log.exception("%s %s failed", request.method, request.path)
        problem = retry_later(Code.UNAVAILABLE)
    problem.count(request.app[COUNTS])
    return problem.response()


def problem_of_library(error: web.HTTPException) -> Problem:
    """The library's own refusals: no such route or method, an expectation it does not meet, …"""
    code = _LIBRARY_CODES.get(error.status)
    if code is None:
        return Problem(Code.BAD_REQUEST, error.reason)
    allow = {str(hdrs.ALLOW): error.headers[hdrs.ALLOW]} if hdrs.ALLOW in error.headers else {}
    return Problem(code, headers=allow)
