"""Holds every answer that a test gets against its route: status, code, headers, and the model of the body; and
against the OpenAPI document.

`tests/http/serving.py` makes all its sessions with `CheckedResponse`, so no test has to ask for this.
"""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
import orjson

from claimd.contract.fields import Answer
from claimd.contract.problem_document import ProblemDocument
from claimd.contract.problems import PROBLEM_CONTENT_TYPE, PROBLEM_TYPES, Code, ProblemHeader
from claimd.contract.route import CODES_OF_ANY_REQUEST, EVENT_STREAM, NDJSON, Route, Success
from claimd.contract.routes import CONSOLE_ROUTES, PUBLIC_ROUTES
from claimd.domain.sentences import Language
from tests.contract.documented import check_documented

# A console answers so at any address under `/admin/`, also where there is no route.
_CODES_WITHOUT_ROUTE = frozenset((*CODES_OF_ANY_REQUEST, Code.UNAUTHENTICATED))

_ROUTES = {"public": PUBLIC_ROUTES, "console": CONSOLE_ROUTES}


class CheckedResponse(aiohttp.ClientResponse):
    """A response of the public port, whose body is checked when it is read whole."""

    api = "public"

    async def read(self) -> bytes:
        """The body, or the beginning of a stream. Raises AssertionError where the answer is none of its route's."""
        body = await (self._first_event() if self.content_type == EVENT_STREAM else super().read())
        if self.method == "HEAD":
            check_documented(self.api, self.method, self.url.path, self.status, self.headers, None)
        elif self.status < HTTPStatus.BAD_REQUEST:
            check_success(self.api, self.method, self.url.path, self.status, self.headers, body)
        else:
            check_problem(self.api, self.method, self.url.path, self.status, self.headers, body)
        return body

    async def _first_event(self) -> bytes:
        """A stream up to its first event, and as if it had ended there; empty for HEAD."""
        self._body = b""
        while self.method != "HEAD" and b"\ndata: " not in self._body.rpartition(b"\n\n")[0]:
            more = await self.content.readany()
            assert more, "the stream has no event"
            self._body += more
        self.close()
        return self._body


class ConsoleResponse(CheckedResponse):
    """A response of the console."""

    api = "console"


def check_success(api: str, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Check an answer that is no problem."""
    route = route_of(api, method, path)
    assert route is not None, f"{method} {path} is in no table of routes"
    success = next((known for known in route.answers if known.status == status), None)
    assert success is not None, f"{method} {path} is not known to answer {status}"
    check_documented(api, method, path, status, headers, body)
    for document in _documents(success, body):
        check_model(success.model, document)


def check_problem(api: str, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Check an error."""
    code = check_problem_document(status, headers, body)
    check_documented(api, method, path, status, headers, body)
    route = route_of(api, method, path)
    known = _CODES_WITHOUT_ROUTE if route is None else {code for _, code in route.problems}
    assert code in known, f"{method} {path} is not known to answer {code}"


def check_problem_document(status: int, headers: Mapping[str, str], body: bytes) -> Code:
    """Check an error of whatever request; its code."""
    assert headers["content-type"] == PROBLEM_CONTENT_TYPE
    assert headers["cache-control"] == "no-store"
    problem = ProblemDocument.model_validate_json(body)
    assert problem.status == status
    assert problem.title == PROBLEM_TYPES[problem.code].title_in(Language(headers["content-language"]))
    assert "Accept-Language" in headers["vary"]
    present = {header for header in ProblemHeader if header.lower() in {name.lower() for name in headers}}
    assert present == set(PROBLEM_TYPES[problem.code].headers), f"{problem.code} has the headers {present}"
    return problem.code


def check_model(model: type[Answer] | None, document: Any) -> None:
    """Check a document against a model. Raises ValidationError, a kind of ValueError."""
    if model is not None:
        model.model_validate_json(orjson.dumps(_with_empty_packs(document)))


def route_of(api: str, method: str, path: str) -> Route | None:
    """The route of the public or the console API that a request is for, or None."""
    routes = (route for route in _ROUTES[api] if route.method == method)
    return next((route for route in routes if _pattern(route).fullmatch(path)), None)


def _pattern(route: Route) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(route.path)))


def _documents(success: Success, body: bytes) -> Iterator[Any]:
    if success.model is None:
        return
    if success.media_type == NDJSON:
        yield from (orjson.loads(line) for line in body.splitlines())
    elif success.media_type == EVENT_STREAM:
        yield from map(orjson.loads, re.findall(rb"^data: (.*)$", body, re.MULTILINE))
    else:
        yield orjson.loads(body)


def _with_empty_packs(document: Any) -> Any:
    """A copy in which packs are empty: they may be nested deeper than pydantic reads JSON."""
    if isinstance(document, list):
        return [_with_empty_packs(item) for item in document]
    if not isinstance(document, dict):
        return document
    return {
        name: {} if name == "pack" and isinstance(value, dict) else _with_empty_packs(value)
        for name, value in document.items()
    }
