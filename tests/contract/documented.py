"""Holds an answer against the OpenAPI document itself: status, media type, headers, body.

It knows OpenAPI and nothing of how claimd makes the document, so that a mistake there does not hide itself here.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from claimd.contract.openapi import CONSOLE_API, PUBLIC_API, openapi

Document = Mapping[str, Any]

PUBLIC, CONSOLE = openapi(PUBLIC_API), openapi(CONSOLE_API)
DOCUMENTS = {"public": PUBLIC, "console": CONSOLE}
# Components that answer a request for no operation.
_WITHOUT_OPERATION = {404: "NotFound", 405: "MethodNotAllowed"}
# HTTP's own, which any answer may have.
_PLUMBING = frozenset(
    (
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "keep-alive",
        "server",
        "transfer-encoding",
    )
)


# Hashed by identity (`eq=False`): the content is a mapping.
@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """An operation of one of the documents: where it is, and its JSON."""

    api: str
    method: str
    path: str
    content: Document

    @property
    def name(self) -> str:
        """What tests call it: the API and its operationId."""
        return f"{self.api} {self.content['operationId']}"


@cache
def operations() -> tuple[Operation, ...]:
    """All operations of both documents; those of HEAD, which are those of GET without bodies, left out."""
    return tuple(
        Operation(api, method.upper(), path, content)
        for api, document in DOCUMENTS.items()
        for path, item in document["paths"].items()
        for method, content in item.items()
        if method != "head"
    )


def documented_problems(operation: Operation) -> Iterator[tuple[int, str]]:
    """Status and code of each problem that the document has for the operation."""
    for status, answer in operation.content["responses"].items():
        schema = answer.get("content", {}).get("application/problem+json", {}).get("schema")
        for choice in [] if schema is None else schema.get("oneOf", [schema]):
            document = DOCUMENTS[operation.api]
            yield int(status), resolved(document, choice)["properties"]["code"]["const"]


def documented_successes(operation: Operation) -> Iterator[int]:
    """The status of each answer of the operation that is no problem."""
    yield from (int(status) for status in operation.content["responses"] if int(status) < HTTPStatus.BAD_REQUEST)


@cache
def operation_of(api: str, method: str, path: str) -> Operation | None:
    """The operation that a request is for, or None; HEAD is that of GET."""
    method = "GET" if method == "HEAD" else method
    named = (found for found in operations() if (found.api, found.method) == (api, method))
    return next((found for found in named if _pattern(found).fullmatch(path)), None)


def check_documented(
    api: str, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes | None
) -> None:
    """Check an answer against the document of `api`; `body` is None for an answer to HEAD.

    An answer to a request for no operation is checked where the document has it among its components.
    """
    operation = operation_of(api, method, path)
    if operation is not None:
        assert str(status) in operation.content["responses"], f"{operation.name} {status} is not documented"
        place: tuple[str, ...] = ("paths", operation.path, operation.method.lower(), "responses", str(status))
    elif status in _WITHOUT_OPERATION:
        place = ("components", "responses", _WITHOUT_OPERATION[status])
    else:
        return
    _check(api, place, headers, body)


def resolved(document: Document, item: Document) -> Document:
    """The object that a reference of the document names; any other object as it is."""
    found: Any = item
    if "$ref" in item:
        found = document
        for name in item["$ref"].removeprefix("#/").split("/"):
            found = found[name]
    return found  # type: ignore[no-any-return]


def _check(api: str, place: tuple[str, ...], headers: Mapping[str, str], body: bytes | None) -> None:
    answer: Any = DOCUMENTS[api]
    for name in place:
        answer = answer[name]
    _check_headers(api, place, answer["headers"], {name.lower(): value for name, value in headers.items()})
    content = answer.get("content", {})
    if not content:
        assert not body, f"{place} is documented without a body"
        return
    media_type = {name.lower(): value for name, value in headers.items()}["content-type"].partition(";")[0]
    assert media_type in content, f"{media_type} is not documented for {place}"
    if body is not None:
        schema = content[media_type]["schema"]
        for value, within in _values(media_type, schema, body):
            _validate(api, (*place, "content", media_type, "schema", *within), value)


def _check_headers(api: str, place: tuple[str, ...], documented: Document, present: Mapping[str, str]) -> None:
    for name, reference in documented.items():
        header = resolved(DOCUMENTS[api], reference)
        if name.lower() not in present:
            assert not header["required"], f"{name} is missing in {place}"
            continue
        text = present[name.lower()]
        value = int(text) if header["schema"].get("type") == "integer" and text.isdigit() else text
        error = best_match(Draft202012Validator(header["schema"]).iter_errors(value))
        assert error is None, f"{name} of {place}: {error}"
    assert set(present) - _PLUMBING <= {name.lower() for name in documented}, f"{place} has undocumented headers"


def _values(media_type: str, schema: Document, body: bytes) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Each value of a body, and the place of its schema within that of the body."""
    if media_type.endswith("json") and media_type != "application/x-ndjson":
        yield json.loads(body), ()
        return
    yield body.decode(), ()
    if media_type == "application/x-ndjson":
        yield from ((json.loads(line), ("contentSchema",)) for line in body.splitlines())
    if media_type == "text/event-stream":
        data = re.findall(rb"^data: ?(.*)$", body, re.MULTILINE)
        yield from ((json.loads(line), ("contentSchema",)) for line in data)


def _validate(api: str, place: tuple[str, ...], value: Any) -> None:
    error = best_match(_validator(api, place).iter_errors(value))
    assert error is None, f"{place}: {error}"


@cache
def _validator(api: str, place: tuple[str, ...]) -> Draft202012Validator:
    uri = f"urn:{api}"
    resource = Resource.from_contents(DOCUMENTS[api], default_specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource(uri, resource)
    pointer = "/".join(name.replace("~", "~0").replace("/", "~1") for name in place)
    return Draft202012Validator(
        {"$ref": f"{uri}#/{pointer}"}, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER
    )


@cache
def _pattern(operation: Operation) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(operation.path)))
