"""CORS (https://fetch.spec.whatwg.org/#http-cors-protocol): which origins may read public answers, for both doors.

All bytes are made once, for each configured origin and for all others together. Where no origin is configured nothing
is added to any answer, and `OPTIONS` is 405. There is no `Access-Control-Allow-Credentials`: the API takes credentials
in `Authorization` alone, which a page has to set itself, and no cookies.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from claimd.contract.headers import EXPOSED
from claimd.contract.routes import PUBLIC_ROUTES
from claimd.http.languages import header_values
from claimd.http.raw_answers import date_line, empty_answer_parts, header_lines

_EXPOSED: Final = ", ".join(EXPOSED)
# What a page may set, beyond the headers that every page may set.
_ALLOWED: Final = ", ".join((hdrs.AUTHORIZATION, hdrs.CONTENT_TYPE, hdrs.IF_NONE_MATCH, "Last-Event-ID"))
# Chromium keeps the answer to a preflight for no longer than that.
_MAX_AGE_SECONDS: Final = 7200
_PREFLIGHT_STATUS: Final = 204

_Parts = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class OriginLines:
    """What answers to one origin have in their heads.

    `headers` are those for aiohttp, without `Vary`. `answer` and `problem` are header lines as bytes, with `Vary` and
    line ends: for problems, which depend on `Accept-Language` as well, and for all other answers.
    """

    headers: Mapping[str, str]
    answer: bytes
    problem: bytes


WITHOUT_CORS: Final = OriginLines({}, b"", header_lines({hdrs.VARY: hdrs.ACCEPT_LANGUAGE}))


class _LinesByOrigin(dict[bytes, OriginLines]):
    """The lines for each configured origin; `others` for every other one, without an entry of its own."""

    def __init__(self, configured: Mapping[bytes, OriginLines], others: OriginLines) -> None:
        # Most requests of apps have no origin.
        super().__init__({b"": others, **configured})
        self._others = others

    def __missing__(self, origin: bytes) -> OriginLines:
        return self._others


class Cors:
    """The configured origins of one process, with all header lines about them.

    `lines` has them by the `Origin` of a request; `b""` stands for none, or for more than one.
    """

    def __init__(self, origins: Collection[str] = ()) -> None:
        """`origins` are as `claimd.http.origins.parse_origins` returns them; without any, nothing is added."""
        self.enabled = bool(origins)
        self._of_origin = {
            origin.encode(): _lines(
                {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin, hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: _EXPOSED}
            )
            for origin in origins
        }
        self.lines = _LinesByOrigin(self._of_origin, _lines({}) if origins else WITHOUT_CORS)
        self._preflights: dict[tuple[bytes, tuple[str, ...]], _Parts] = {
            (origin, methods): empty_answer_parts(_PREFLIGHT_STATUS, self.preflight_headers(origin, methods))
            for origin in (*self._of_origin, b"")
            for _, methods in _METHODS
        }

    def preflight_headers(self, origin: bytes, methods: Iterable[str]) -> dict[str, str]:
        """The headers of the answer to a preflight for a path with these methods, without Date."""
        vary: dict[str, str] = {hdrs.VARY: hdrs.ORIGIN}
        if origin not in self._of_origin:
            return vary
        return {
            hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin.decode(),
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: ", ".join(sorted(methods)),
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _ALLOWED,
            hdrs.ACCESS_CONTROL_MAX_AGE: str(_MAX_AGE_SECONDS),
            **vary,
        }

    def preflight_answer(self, origin: bytes, path: str, now_seconds: int) -> bytes | None:
        """The whole answer to a preflight for a plain path; None where no origin is configured or no route has it."""
        methods = methods_of(path) if self.enabled else ()
        if not methods:
            return None
        before, after = self._preflights[origin if origin in self._of_origin else b"", methods]
        return before + date_line(now_seconds) + after


CORS: Final = web.AppKey("cors", Cors)


def request_origin(request: web.BaseRequest) -> bytes:
    """The `Origin` of an aiohttp request; empty where there is none, or more than one."""
    values = header_values(request, hdrs.ORIGIN)
    return values[0].encode("utf-8", "surrogateescape") if len(values) == 1 else b""


def add_cors(cors: Cors, request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Add to an answer of aiohttp's what its request's origin may know; a second call changes nothing."""
    if not cors.enabled or hdrs.ACCESS_CONTROL_ALLOW_ORIGIN in response.headers:
        return
    response.headers.update(cors.lines[request_origin(request)].headers)
    varies = response.headers.get(hdrs.VARY, "")
    if hdrs.ORIGIN not in varies:
        response.headers[hdrs.VARY] = f"{hdrs.ORIGIN}, {varies}" if varies else hdrs.ORIGIN


async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
    """A handler of `Application.on_response_prepare`, which is called for streamed answers, too."""
    add_cors(request.app[CORS], request, response)


@web.middleware
async def preflights(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a preflight for a path that has routes; pass on everything else."""
    cors = request.app[CORS]
    if not cors.enabled or request.method != hdrs.METH_OPTIONS or not _is_preflight(request):
        return await handler(request)
    error = request.match_info.http_exception
    if not isinstance(error, web.HTTPMethodNotAllowed):
        return await handler(request)
    headers = cors.preflight_headers(request_origin(request), error.allowed_methods)
    return web.Response(status=_PREFLIGHT_STATUS, headers=headers)


def methods_of(path: str) -> tuple[str, ...]:
    """The methods of a path of the public API, by the table of routes; empty where no route has it."""
    return next((methods for pattern, methods in _METHODS if pattern.fullmatch(path)), ())


def _is_preflight(request: web.BaseRequest) -> bool:
    return hdrs.ORIGIN in request.headers and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers


def _lines(headers: Mapping[str, str]) -> OriginLines:
    return OriginLines(
        headers,
        header_lines({**headers, hdrs.VARY: hdrs.ORIGIN}),
        header_lines({**headers, hdrs.VARY: f"{hdrs.ORIGIN}, {hdrs.ACCEPT_LANGUAGE}"}),
    )


def _methods() -> tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]:
    methods: dict[str, set[str]] = {}
    for route in PUBLIC_ROUTES:
        # aiohttp answers HEAD wherever it answers GET.
        also = {hdrs.METH_HEAD} if route.method == hdrs.METH_GET else set()
        methods.setdefault(route.path, set()).update({route.method, *also})
    return tuple((_pattern(path), tuple(sorted(names))) for path, names in methods.items())


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(
        "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{\w+\})", path))
    )


_METHODS: Final = _methods()
