"""The middleware that turns every error into a problem, so that no client gets a traceback."""

import logging
from collections.abc import Mapping

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from claimd.contract import details
from claimd.contract.problems import PROBLEM_TYPES, Code
from claimd.http.languages import request_language
from claimd.http.problems import Problem, ProblemError, reject, retry_later
from claimd.metrics.counts import Counts
from claimd.store.errors import StoreUnavailable

# Headers that a decision depends on. Where one comes twice, it is unknown which value is meant.
_SINGLE_HEADERS = (hdrs.AUTHORIZATION, hdrs.CONTENT_TYPE, hdrs.HOST)

# aiohttp's own errors have a status and no code.
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
                raise reject(Code.BAD_REQUEST, details.HEADER_TWICE(name=name))
        return await handler(request)
    except ProblemError as error:
        problem = error.problem
    except StoreUnavailable as error:
        _log.warning("%s %s could not be answered: %s", request.method, request.path, error)
        problem = retry_later(Code.UNAVAILABLE)
    except web.HTTPException as error:
        problem = problem_of_library(error)
    except ConnectionError:
        # The client has closed the connection: no answer can be sent.
        raise
    except Exception:
        # A bug. The outcome is unknown and a retry is safe, which is what `unavailable` means.
        _log.exception("%s %s failed", request.method, request.path)
        problem = retry_later(Code.UNAVAILABLE)
    problem.count(request.app[COUNTS])
    return problem.response(request_language(request))


def problem_of_library(error: web.HTTPException) -> Problem:
    """The problem of an error that aiohttp raises itself: no such route or method, an unmet `Expect`, …"""
    code = _LIBRARY_CODES.get(error.status)
    if code is None:
        return Problem(Code.BAD_REQUEST, details.REFUSED_BY_LIBRARY(library=error.reason))
    allow = {str(hdrs.ALLOW): error.headers[hdrs.ALLOW]} if hdrs.ALLOW in error.headers else {}
    return Problem(code, headers=allow)
