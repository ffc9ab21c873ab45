"""Writes `docs/api.md`: the prose of `reference.md`, with tables and routes in the place of its marks."""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from claimd.contract import limits
from claimd.contract.fields import Answer
from claimd.contract.headers import ETAG_OF_ROUND, ETAG_OF_VERSION, NO_STORE
from claimd.contract.problem_document import STANDARD_MEMBERS, ProblemDocument, problem_example
from claimd.contract.problems import PROBLEM_TYPES, Code, ProblemHeader
from claimd.contract.rounds import OperatorRound, Round
from claimd.contract.route import CODES_OF_ANY_REQUEST, EVENT_STREAM, JSON, NDJSON, Credentials, Route, Success
from claimd.contract.routes import (
    CONSOLE_ROUTES,
    DOCUMENTATION_ROUTES,
    HEALTH_ROUTES,
    PUBLIC_ROUTES,
)
from claimd.domain.rounds import (
    MAX_ELIGIBILITY_CHARACTERS,
    MAX_ELIGIBILITY_CLAIMS,
    MAX_ELIGIBILITY_VALUES,
    MAX_PACK_BYTES,
    MAX_TITLE_CHARACTERS,
    MAX_TOTAL,
)

COMMAND: Final = "python -m claimd.contract > docs/api.md"

_PROSE: Final = Path(__file__).with_name("reference.md")
_APART: Final = (*HEALTH_ROUTES, *DOCUMENTATION_ROUTES)
_HEADING: Final = re.compile(r"^#{2,3} (.+)$", re.MULTILINE)
_LINK: Final = re.compile(r"\[([^\]]+)\]\(#[^)]*\)")
_MARK: Final = re.compile(r"^<!-- (.+) -->$", re.MULTILINE)
_NOTICE: Final = f"<!-- Generated: edit claimd/contract/, then run `{COMMAND}`. -->\n\n"


def reference() -> str:
    """The whole page, as Markdown."""
    blocks = {
        "model: Round": _members(Round),
        "own members: OperatorRound": _members(OperatorRound, without=frozenset(Round.model_fields)),
        "codes of any request": ", ".join(f"`{code}`" for code in CODES_OF_ANY_REQUEST) + ".",
        "routes: public": _routes(route for route in PUBLIC_ROUTES if route not in _APART),
        "routes: console": _routes(route for route in CONSOLE_ROUTES if route not in _APART),
        "routes: health": _routes(HEALTH_ROUTES),
        "routes: documentation": _routes(DOCUMENTATION_ROUTES),
        "example: problem": _fence("json", json.dumps(problem_example(Code.NOT_OPEN), indent=2)),
        "standard members: ProblemDocument": _members(
            ProblemDocument, without=frozenset(ProblemDocument.model_fields) - STANDARD_MEMBERS
        ),
        "own members: ProblemDocument": _members(ProblemDocument, without=STANDARD_MEMBERS),
        "table: errors": "\n".join(_error_row(code) for code in _by_status(Code)),
        "table: advice": "\n".join(
            _row(f"`{code}`", PROBLEM_TYPES[code].when, PROBLEM_TYPES[code].client) for code in _by_status(Code)
        ),
        "table: limits": "\n".join(_row(*cells) for cells in _limits()),
    }
    return _NOTICE + _MARK.sub(lambda mark: blocks[mark[1]], _PROSE.read_text())


def sections(names: Iterable[str]) -> str:
    """Some sections of the page, as Markdown: each up to the next heading, and without links to other sections."""
    parts = _HEADING.split(reference())
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    return "\n\n".join(f"## {name}\n\n{without_links(found[name].strip())}" for name in names)


def without_links(text: str) -> str:
    """The text without links to sections of the page, for where there are none."""
    return _LINK.sub(r"\1", text)


def _routes(routes: Iterable[Route]) -> str:
    return "\n\n".join("\n\n".join(_route(route)) for route in routes)


def _route(route: Route) -> Iterator[str]:
    yield f"### {route.summary}"
    yield f"`{route.method} {_path(route)}`"
    if route.notes:
        yield route.notes
    yield "\n".join(_requirements(route))
    if route.query:
        rows = (_row(f"`{parameter.name}`", parameter.meaning) for parameter in route.query)
        yield "\n".join((_row("parameter", "meaning"), "|---|---|", *rows))
    if route.body is not None and route.takes_fields:
        yield _fields(route.body)
    yield _example(route)
    answers = (_row(str(int(success.status)), _success(success)) for success in route.answers)
    own = (problem for problem in route.problems if problem[1] in route.codes)
    problems = (
        _row(str(int(status)), ", ".join(f"`{code}`" for _, code in group))
        for status, group in groupby(own, key=lambda problem: problem[0])
    )
    yield "\n".join((_row("status", "answer, or [code](#what-to-do-about-each)"), "|---|---|", *answers, *problems))


def _requirements(route: Route) -> Iterator[str]:
    if route.credentials is not Credentials.NONE:
        yield f"- Credentials: {route.credentials.value}"
    else:
        yield "- Credentials: none"
    if route.body is not None and route.takes_fields:
        may = " (may be absent)" if not any(field.is_required() for field in route.body.model_fields.values()) else ""
        yield f"- Body: JSON{may}, at most {route.max_body_bytes:,} bytes"
    if route.if_match:
        yield '- Accepts `If-Match: "<version>"`'
    if route.if_none_match:
        yield "- Accepts `If-None-Match`"
    caching = route.answers[0].cache_control
    if caching != NO_STORE:
        yield f"- `Cache-Control: {caching}`"


def _example(route: Route) -> str:
    success = route.answers[0]
    lines = [f"{route.method} {_path(route).replace('{id}', 'spring-5')} HTTP/1.1"]
    if route.credentials is Credentials.PASS_OR_BEARER:
        lines.append("Authorization: Pass AgABnbUjmAAAAABkGOuY…")
    elif route.credentials is not Credentials.NONE:
        lines.append("Authorization: Bearer …")
    if route.body_example:
        lines += ["Content-Type: application/json", "", json.dumps(route.body_example, ensure_ascii=False)]
    lines += ["", f"HTTP/1.1 {int(success.status)} {success.status.phrase}"]
    if success.media_type:
        lines.append(f"Content-Type: {success.media_type}")
    lines += _headers(success)
    if success.example is not None:
        indent = 2 if success.media_type == JSON else None
        document = json.dumps(success.example, ensure_ascii=False, indent=indent)
        lines += ["", *_event(success.event, document)] if success.media_type == EVENT_STREAM else ["", document]
    return _fence("http", "\n".join(lines))


def _event(name: str, document: str) -> Iterator[str]:
    yield from (f"event: {name}", f"id: {ETAG_OF_ROUND.example}", f"data: {document}")


def _headers(success: Success) -> Iterator[str]:
    """The lines of the headers of the example; the version is that of the round in the body, where there is one."""
    for header in success.headers:
        value = header.example
        if header == ETAG_OF_VERSION:
            value = None if success.example is None else f'"{success.example["version"]}"'
        if value is not None:
            yield f"{header.name}: {value}"


def _success(success: Success) -> str:
    if success.media_type == NDJSON and success.model is not None:
        names = ", ".join(f"`{name}`" for name in success.model.model_fields)
        return f"{success.meaning} Each: {names}."
    if success.media_type == EVENT_STREAM:
        return f"{success.meaning} The `data` of each `{success.event}` event is a [Round](#round)."
    return success.meaning


def _path(route: Route) -> str:
    return route.path.replace("{round_id}", "{id}")


def _members(model: type[Answer], without: frozenset[str] = frozenset()) -> str:
    schema = model.model_json_schema(by_alias=True)["properties"]
    rows = (
        _row(f"`{name}`", _type(schema[field.alias or name]), field.description or "")
        for name, field in model.model_fields.items()
        if name not in without
    )
    return "\n".join((_row("member", "type", "meaning"), "|---|---|---|", *rows))


def _fields(model: type[BaseModel]) -> str:
    schema = model.model_json_schema()["properties"]
    rows = (
        _row(f"`{name}`", _new_type(name, schema[name], field), _need(field), field.description or "")
        for name, field in model.model_fields.items()
    )
    return "\n".join((_row("field", "type", "", "meaning"), "|---|---|---|---|", *rows))


def _need(field: FieldInfo) -> str:
    return "required" if field.is_required() else ""


def _new_type(name: str, schema: dict[str, Any], field: FieldInfo) -> str:
    # A time is checked and kept as milliseconds, and written as a string.
    return "string" if name in ("opens_at", "closes_at") and field.annotation is int else _type(schema)


def _type(schema: dict[str, Any]) -> str:
    """The JSON type of a field in a few words."""
    if "anyOf" in schema:
        # A member of some problems only is absent elsewhere, never null.
        choices = [choice for choice in schema["anyOf"] if not ("default" in schema and choice == {"type": "null"})]
        return " or ".join(_type(choice) for choice in choices)
    if "$ref" in schema:
        return "object" if schema["$ref"].endswith("AuditAnswer") else "string"
    kind = str(schema.get("type", "string"))
    if kind == "string" and "maxLength" in schema:
        return f"string of {schema['minLength']} to {schema['maxLength']:,} characters"
    if kind == "integer" and "maximum" in schema:
        return f"integer from {schema['minimum']:,} to {schema['maximum']:,}"
    return kind


def _error_row(code: Code) -> str:
    kind = PROBLEM_TYPES[code]
    status = str(int(kind.status))
    if kind.unknown_field_status is not None:
        status += f", {int(kind.unknown_field_status)}"
    members = ", ".join(f"`{name}`" for name in kind.members)
    return _row(
        status, f"`{code}`", kind.title, kind.title_zh, members, ", ".join(f"`{header}`" for header in kind.headers)
    )


def _by_status(codes: Iterable[Code]) -> list[Code]:
    order = list(Code)
    return sorted(codes, key=lambda code: (PROBLEM_TYPES[code].status, order.index(code)))


def _limits() -> Iterator[tuple[str, str, str]]:
    slow = "the connection is closed"
    wait = f"429 `{Code.RATE_LIMITED}`, `{ProblemHeader.RETRY_AFTER}`"
    yield "body of a public request, and of `archive`", f"{limits.MAX_BODY_BYTES:,} bytes", f"413 `{Code.TOO_LARGE}`"
    yield "body of another console request", f"{limits.MAX_CONSOLE_BODY_BYTES:,} bytes", f"413 `{Code.TOO_LARGE}`"
    rate = f"{limits.REQUESTS_PER_WINDOW} within {limits.WINDOW_SECONDS:g} s"
    yield "requests of one person to one gateway process", rate, wait
    yield "rounds on a page", f"{limits.MAX_ROUNDS_PER_PAGE}", f"400 `{Code.BAD_REQUEST}`"
    yield "`total`", f"0 to {MAX_TOTAL:,}", f"422 `{Code.INVALID_ROUND}`"
    yield "`title`", f"1 to {MAX_TITLE_CHARACTERS} characters", f"422 `{Code.INVALID_ROUND}`"
    yield "`pack`", f"{MAX_PACK_BYTES:,} bytes as JSON", f"422 `{Code.INVALID_ROUND}`"
    eligibility = (
        f"{MAX_ELIGIBILITY_CLAIMS} token claims, {MAX_ELIGIBILITY_VALUES:,} values each, "
        f"{MAX_ELIGIBILITY_CHARACTERS} characters a name or value"
    )
    yield "`eligibility`", eligibility, f"422 `{Code.INVALID_ROUND}`"
    yield "`reason`", f"1 to {limits.MAX_REASON_CHARACTERS:,} characters", f"422 `{Code.INVALID_ROUND}`"
    yield "head of a request, from its first byte", f"{limits.REQUEST_SECONDS:g} s", slow
    yield "body of a request", f"{limits.BODY_SECONDS:g} s", f"400 `{Code.BAD_REQUEST}`, and {slow}"
    yield "an answer of which the client reads nothing", f"{limits.ANSWER_SECONDS:g} s", slow
    yield "streams of events of a gateway process", f"{limits.MAX_LISTENERS:,}", f"503 `{Code.OVERLOADED}`"
    yield "a connection without a request", f"{limits.IDLE_SECONDS:g} s (`CLAIMD_IDLE_SECONDS`)", slow
    seconds = ", ".join(map(str, limits.RETRY_AFTER_SECONDS))
    yield "`Retry-After` of 429 and 503", f"one of {seconds} s, at random", ""
    yield "validity of a pass", f"{limits.PASS_GRACE_DAYS} days after the round", f"401 `{Code.UNAUTHENTICATED}`"


def _fence(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
