"""The OpenAPI documents are valid, whole, and what code generators need; the table can state what routes need."""

import re
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from claimd.contract.openapi import CONSOLE_API, PUBLIC_API, Api, openapi
from claimd.contract.problem_document import ProblemDocument, problem_example
from claimd.contract.problems import Code
from claimd.contract.route import EVENT_STREAM, Route, Success
from claimd.contract.routes import PUBLIC_ROUTES
from tests.contract.conformance import route_of
from tests.contract.documented import check_documented, documented_problems, operation_of, operations

APIS = [PUBLIC_API, CONSOLE_API]
READ_ROUND = next(route for route in PUBLIC_ROUTES if route.operation == "readRound")


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(inner)


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.title)
def test_the_document_is_openapi(api: Api) -> None:
    """By the schema of OpenAPI 3.1, and with schemas of JSON Schema 2020-12."""
    document = openapi(api)
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.title)
def test_every_component_is_there_and_used(api: Api) -> None:
    """Each reference leads somewhere, and no component is left over: but the answers and the types of no operation."""
    document = openapi(api)
    used = {found["$ref"] for found in _objects(document) if "$ref" in found}
    there = {f"#/components/{kind}/{name}" for kind, items in document["components"].items() for name in items}
    free = {f"#/components/schemas/{name}" for name in ("Code", "Problem")}
    answers = {name for name in there if name.startswith(("#/components/responses/", "#/components/securitySchemes/"))}
    assert used - there == set()
    assert there - used == answers | (free - used)


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.title)
def test_operations_have_names_of_their_own(api: Api) -> None:
    """Code generators make a method of each, and a class of each tag."""
    document = openapi(api)
    found = [operation for item in document["paths"].values() for operation in item.values()]
    names = [operation["operationId"] for operation in found]
    assert len(set(names)) == len(names) >= 9
    assert all(re.fullmatch("[a-z][A-Za-z]+", name) for name in names)
    assert {tag for operation in found for tag in operation["tags"]} == {tag["name"] for tag in document["tags"]}


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.title)
def test_no_text_leads_to_a_section_of_another_page(api: Api) -> None:
    """`docs/api.md` has sections that the document has not."""
    texts = [found["description"] for found in _objects(openapi(api)) if isinstance(found.get("description"), str)]
    assert texts
    assert [text for text in texts if "](#" in text] == []


def test_every_operation_has_the_problems_of_its_route() -> None:
    """Each with the schema of its code, so that a client can branch on the type."""
    for operation in operations():
        route = route_of(operation.api, operation.method, operation.path)
        assert route is not None
        assert sorted(documented_problems(operation)) == sorted(
            (int(status), str(code)) for status, code in route.problems
        )


@pytest.mark.parametrize("code", Code)
def test_the_example_of_a_problem_is_one(code: Code) -> None:
    """With all the members that its code has; it is what the page and the document show."""
    ProblemDocument.model_validate(problem_example(code), strict=False)


def _claimed(**changed: Any) -> tuple[dict[str, str], bytes]:
    headers = {
        "Cache-Control": "no-store",
        "Date": "now",
        "Content-Language": "en",
        "Vary": "Accept-Language",
        "Content-Type": "application/problem+json",
    }
    return {**headers, **changed}, b'{"type":"urn:claimd:problem:sold_out","title":"x","status":409,"code":"sold_out"}'


@pytest.mark.parametrize(
    ("path", "status", "headers", "complaint"),
    [
        ("/v1/rounds/night/claims", 409, {}, ""),
        ("/v1/rounds/night/passes", 409, {}, "409 is not documented"),
        ("/v1/rounds/night/claims", 410, {}, "urn:claimd:problem:archived"),
        ("/v1/rounds/night/claims", 409, {"X-Debug": "1"}, "undocumented headers"),
        ("/v1/rounds/night/claims", 409, {"Cache-Control": "public"}, "no-store"),
        ("/v1/rounds/night/claims", 409, {"Vary": "Origin"}, "Vary of"),
        ("/v1/rounds/night/claims", 409, {"Access-Control-Max-Age": "1"}, "undocumented headers"),
        ("/v1/rounds/night/claims", 409, {"Content-Type": "text/html"}, "text/html is not documented"),
        ("/v1/rounds/night/claims", 401, {}, "WWW-Authenticate is missing"),
    ],
)
def test_an_answer_that_is_not_documented_is_noticed(
    path: str, status: int, headers: dict[str, str], complaint: str
) -> None:
    """A check that accepts anything would prove nothing: only the first is an answer of its operation."""
    sent, body = _claimed(**headers)
    if not complaint:
        check_documented("public", "POST", path, status, sent, body)
        return
    with pytest.raises(AssertionError, match=complaint):
        check_documented("public", "POST", path, status, sent, body)


def test_an_operation_is_found_on_its_own_port_alone() -> None:
    """A console's answer is not taken for one of the gateway."""
    assert operation_of("public", "GET", "/admin/v1/rounds") is None
    assert operation_of("console", "HEAD", "/admin/v1/rounds") is not None


def _documented(route: Route) -> dict[str, Any]:
    document = openapi(replace(PUBLIC_API, routes=(route,)))
    OpenAPIV31SpecValidator(document).validate()
    (item,) = document["paths"].values()
    return dict(item)


def test_a_route_can_be_revalidated() -> None:
    """With a 304 among its answers it takes `If-None-Match`; with `head` the document names HEAD, without bodies."""
    item = _documented(READ_ROUND)
    assert item.keys() == {"get", "head"}
    for operation in item.values():
        assert "If-None-Match" in [parameter["name"] for parameter in operation["parameters"]]
        cross_origin = {"Vary", "Access-Control-Allow-Origin", "Access-Control-Expose-Headers"}
        assert {"ETag", "Cache-Control", "Date"} | cross_origin == set(operation["responses"]["304"]["headers"])
        assert "content" not in operation["responses"]["304"]
    assert "content" in item["get"]["responses"]["200"]
    assert all("content" not in answer for answer in item["head"]["responses"].values())


def test_a_route_can_be_a_stream_of_events() -> None:
    """The document names the event and the schema of its data."""
    stream = Success(HTTPStatus.OK, "Whenever it changes.", READ_ROUND.answers[0].model, EVENT_STREAM, event="round")
    item = _documented(replace(READ_ROUND, answers=(stream,)))
    schema = item["get"]["responses"]["200"]["content"]["text/event-stream"]["schema"]
    assert schema["contentSchema"] == {"$ref": "#/components/schemas/RoundAnswer"}
    assert "`round`" in schema["description"]
