"""The OpenAPI 3.1 document of each port, made from the table of routes, the table of codes and the models.

Nothing about the API is written down here a second time: what the document lacks belongs into one of those.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from itertools import groupby
from typing import Any, Final

from claimd import __version__
from claimd.contract.fields import ROUND_ID_PATTERN
from claimd.contract.headers import (
    CONTENT_LANGUAGE,
    CROSS_ORIGIN,
    DATE,
    NO_STORE,
    PROBLEM_HEADERS,
    VARY_OF_PROBLEM,
    Header,
    cache_control,
)
from claimd.contract.problem_document import problem_example
from claimd.contract.problems import PROBLEM_CONTENT_TYPE, PROBLEM_TYPES, Code
from claimd.contract.reference import sections, without_links
from claimd.contract.route import CODES_WITHOUT_OPERATION, EVENT_STREAM, JSON, NDJSON, Credentials, Route, Success
from claimd.contract.routes import CONSOLE_DOCUMENT_ROUTE, CONSOLE_ROUTES, PUBLIC_DOCUMENT_ROUTE, PUBLIC_ROUTES
from claimd.contract.schemas import model_schemas, problem_name, problem_schemas, reference_to

Json = dict[str, Any]

_VERSION: Final = "3.1.1"
_SECURITY: Final[Mapping[Credentials, list[Json]]] = {
    Credentials.NONE: [],
    Credentials.BEARER: [{"token": []}],
    Credentials.PASS_OR_BEARER: [{"pass": []}, {"token": []}],
    Credentials.ADMIN: [{"adminToken": []}],
}
_SCHEMES: Final[Mapping[str, Json]] = {
    "pass": {
        # Not `http` with a scheme of its own: code generators know `basic` and `bearer` alone.
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "The word `Pass`, a space, and the `pass` that `issuePass` answers with.",
    },
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A signed token of the operators' identity provider.",
    },
    "adminToken": {"type": "http", "scheme": "bearer", "description": "`CLAIMD_ADMIN_TOKEN` of the console."},
}


# Hashed by identity (`eq=False`), as its routes have mappings.
@dataclass(frozen=True, slots=True, eq=False)
class Api:
    """One of the two APIs: a port, its routes, and the sections of `docs/api.md` that explain it.

    `document` is the route of its OpenAPI document. `headers` are those that only its answers have.
    """

    title: str
    summary: str
    routes: tuple[Route, ...]
    document: Route
    sections: tuple[str, ...]
    headers: tuple[Header, ...] = ()


PUBLIC_API: Final = Api(
    "claimd: public API",
    "What an app needs in a drop: rounds, passes and claims.",
    PUBLIC_ROUTES,
    PUBLIC_DOCUMENT_ROUTE,
    ("What holds everywhere", "Authentication", "Eligibility", "Round", "Errors", "Browsers"),
    CROSS_ORIGIN,
)
CONSOLE_API: Final = Api(
    "claimd: console API",
    "What operators need: rounds, their claims and their log.",
    CONSOLE_ROUTES,
    CONSOLE_DOCUMENT_ROUTE,
    ("What holds everywhere", "Console API", "Eligibility", "Round", "Errors"),
)


@cache
def openapi(api: Api) -> Json:
    """The document of one API, as JSON values. Made once a process; do not change it."""
    routes = api.routes
    used = {scheme for route in routes for needed in _SECURITY[route.credentials] for scheme in needed}
    tags = {route.tag.name: route.tag for route in routes}
    return {
        "openapi": _VERSION,
        "info": {
            "title": api.title,
            "summary": api.summary,
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": sections(api.sections),
        },
        # Of the port that serves the document.
        "servers": [{"url": "/"}],
        "tags": [{"name": tag.name, "description": tag.meaning} for tag in tags.values()],
        "paths": _paths(api),
        "components": {
            "schemas": dict(_schemas(routes)),
            "responses": {_component(code): _problems([code], api) for code in CODES_WITHOUT_OPERATION},
            "headers": {header.id: _header(header) for header in _headers(api)},
            "examples": {
                code.value: {"summary": PROBLEM_TYPES[code].title, "value": problem_example(code)}
                for code in _codes(routes)
            },
            "securitySchemes": {name: scheme for name, scheme in _SCHEMES.items() if name in used},
        },
    }


def path(route: Route) -> str:
    """The path as the document has it: `/v1/rounds/{id}`."""
    return route.path.replace("{round_id}", "{id}")


def _paths(api: Api) -> Json:
    paths: Json = {}
    for route in api.routes:
        operations = paths.setdefault(path(route), {})
        operations[route.method.lower()] = _operation(route, api)
        if route.head:
            operations["head"] = _head(route, api)
    return paths


def _operation(route: Route, api: Api) -> Json:
    operation: Json = {
        "operationId": route.operation,
        "tags": [route.tag.name],
        "summary": route.summary,
        "security": _SECURITY[route.credentials],
    }
    if route.notes:
        operation["description"] = without_links(route.notes)
    if parameters := list(_parameters(route)):
        operation["parameters"] = parameters
    if route.body is not None:
        needed = any(field.is_required() for field in route.body.model_fields.values())
        content = {"schema": reference_to(route.body.__name__), "example": route.body_example}
        operation["requestBody"] = {
            "required": needed,
            "description": f"At most {route.max_body_bytes:,} bytes.",
            "content": {JSON: content},
        }
    operation["responses"] = dict(_responses(route, api))
    return operation


def _head(route: Route, api: Api) -> Json:
    """The operation HEAD: that of GET, without bodies."""
    operation = _operation(route, api)
    responses = {
        status: {name: value for name, value in answer.items() if name != "content"}
        for status, answer in operation["responses"].items()
    }
    name = f"{route.operation}Head"
    return {**operation, "operationId": name, "summary": f"{route.summary}: headers alone", "responses": responses}


def _parameters(route: Route) -> Iterator[Json]:
    if "{round_id}" in route.path:
        yield {
            "name": "id",
            "in": "path",
            "required": True,
            "description": "The round's id.",
            "schema": {"type": "string", "pattern": ROUND_ID_PATTERN},
            "example": "spring-5",
        }
    if "{claim}" in route.path:
        yield {
            "name": "claim",
            "in": "path",
            "required": True,
            "description": "The claim's id.",
            "schema": {"type": "string"},
            "example": "lkhliqtm7kagyvbl-731204",
        }
    for parameter in route.query:
        yield {
            "name": parameter.name,
            "in": "query",
            "required": False,
            "description": without_links(parameter.meaning),
            "schema": dict(parameter.schema),
        }
    if route.if_match:
        meaning = "The `ETag` that the round must have, or `*`; else 412, and nothing is changed."
        yield _condition("If-Match", meaning, {"type": "string", "pattern": r'^(\*|(W/)?"[!#-~]*")$'})
    if route.if_none_match:
        meaning = "`ETag`s of earlier answers: 304 where one is that of the answer; anything else is passed over."
        yield _condition("If-None-Match", meaning, {"type": "string"})


def _condition(name: str, meaning: str, schema: Json) -> Json:
    return {"name": name, "in": "header", "required": False, "description": meaning, "schema": schema}


def _responses(route: Route, api: Api) -> Iterator[tuple[str, Json]]:
    for success in route.answers:
        yield str(int(success.status)), _success(success, route, api)
    for status, problems in groupby(route.problems, key=lambda problem: problem[0]):
        yield str(int(status)), _problems([code for _, code in problems], api)


def _success(success: Success, route: Route, api: Api) -> Json:
    answer: Json = {"description": success.meaning, "headers": _header_references(_headers_of(success, api))}
    if success.media_type:
        content: Json = {"schema": _content(success)}
        if success.example is not None and success.media_type == JSON:
            content["example"] = dict(success.example)
        answer["content"] = {success.media_type: content}
    if success.status == HTTPStatus.CREATED and success.example is not None and "id" in success.example:
        links = {other.operation: _link(other) for other in api.routes if other.path.startswith(f"{route.path}/")}
        answer["links"] = links
    return answer


def _link(route: Route) -> Json:
    return {"operationId": route.operation, "parameters": {"id": "$response.body#/id"}}


def _content(success: Success) -> Json:
    if success.model is None:
        return {"type": "object"} if success.media_type == JSON else {"type": "string"}
    schema = reference_to(success.model.__name__)
    if success.media_type == NDJSON:
        return {"type": "string", "description": "Each line is such an object.", **_within(NDJSON, schema)}
    if success.media_type == EVENT_STREAM:
        meaning = f"The `data` of each `{success.event}` event is such an object."
        return {"type": "string", "description": meaning, **_within(EVENT_STREAM, schema)}
    return schema


def _within(media_type: str, schema: Json) -> Json:
    # OpenAPI 3.1 has no keyword for the items of a stream; JSON Schema has one for what a string holds.
    return {"contentMediaType": media_type, "contentSchema": schema}


def _problems(codes: list[Code], api: Api) -> Json:
    """The answer for some codes of one status, told apart by `code`."""
    names = {code.value: problem_name(code) for code in codes}
    references = [reference_to(name) for name in names.values()]
    schema: Json = references[0]
    if len(references) > 1:
        mapping = {code: reference_to(name)["$ref"] for code, name in names.items()}
        schema = {"oneOf": references, "discriminator": {"propertyName": "code", "mapping": mapping}}
    examples = {code: {"$ref": f"#/components/examples/{code}"} for code in names}
    return {
        "description": "\n".join(f"- `{code}`: {without_links(PROBLEM_TYPES[code].when)}" for code in codes),
        "headers": _problem_headers(codes, api),
        "content": {PROBLEM_CONTENT_TYPE: {"schema": schema, "examples": examples}},
    }


def _problem_headers(codes: list[Code], api: Api) -> Json:
    # Their own `Vary` replaces that of the API.
    found = _header_references((cache_control(NO_STORE), DATE, CONTENT_LANGUAGE, *api.headers, VARY_OF_PROBLEM))
    for name, header in PROBLEM_HEADERS.items():
        having = [code for code in codes if name in PROBLEM_TYPES[code].headers]
        if len(having) == len(codes):
            found |= _header_references((header,))
        elif having:
            whose = ", ".join(f"`{code}`" for code in having)
            found[header.name] = {**_header(header), "required": False, "description": f"Of {whose}: {header.meaning}"}
    return found


def _headers_of(success: Success, api: Api) -> tuple[Header, ...]:
    return (cache_control(success.cache_control), DATE, *success.headers, *api.headers)


def _header_references(headers: Iterable[Header]) -> Json:
    return {header.name: {"$ref": f"#/components/headers/{header.id}"} for header in headers}


def _header(header: Header) -> Json:
    found = {"description": header.meaning, "required": header.required, "schema": header.schema}
    return found if header.example is None else {**found, "example": header.example}


def _headers(api: Api) -> list[Header]:
    """All headers of the document, each once."""
    found = {
        header.id: header for route in api.routes for success in route.answers for header in _headers_of(success, api)
    }
    of_problems = (CONTENT_LANGUAGE, VARY_OF_PROBLEM, *PROBLEM_HEADERS.values())
    return list((found | {header.id: header for header in of_problems}).values())


def _codes(routes: Iterable[Route]) -> list[Code]:
    """All codes of the document, in the order of the table."""
    found = {code for route in routes for _, code in route.problems} | set(CODES_WITHOUT_OPERATION)
    return [code for code in Code if code in found]


def _schemas(routes: tuple[Route, ...]) -> Iterator[tuple[str, Json]]:
    models = [success.model for route in routes for success in route.answers if success.model is not None]
    bodies = [route.body for route in routes if route.body is not None]
    yield from model_schemas(dict.fromkeys((*models, *bodies))).items()
    yield from problem_schemas(_codes(routes)).items()


def _component(code: Code) -> str:
    return problem_name(code).removesuffix("Problem")
