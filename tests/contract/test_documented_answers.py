"""Every answer that the OpenAPI documents have can be seen: each status and code of each operation, at both doors.

The other way round, `conformance.py` holds every answer of every test against the documents.
"""

from http import HTTPStatus
from pathlib import Path

import orjson
import pytest

from claimd.gateway.lane.connection import Lane
from claimd.http.aiohttp_door import AiohttpDoor
from tests.contract import provoking
from tests.contract.documented import Operation, documented_problems, documented_successes, operations
from tests.gateway.conftest import jwks, pytest_asyncio_loop_factories
from tests.http.serving import ADMIN
from tests.servers import Server

__all__ = ["jwks", "pytest_asyncio_loop_factories"]

DOORS = {"public": (Lane, AiohttpDoor), "console": (AiohttpDoor,)}
WITH_A_PROBLEM = {
    (api, status, code): [it for it in operations() if it.api == api and (status, code) in documented_problems(it)]
    for api in DOORS
    for operation in operations()
    if operation.api == api
    for status, code in documented_problems(operation)
}
PROBLEMS = [(*problem, door) for problem in sorted(WITH_A_PROBLEM) for door in DOORS[problem[0]]]
SUCCESSES = [(it, status, door) for it in operations() for status in documented_successes(it) for door in DOORS[it.api]]


@pytest.mark.parametrize(("api", "status", "code", "door"), PROBLEMS)
async def test_every_documented_problem_is_seen(
    valkey: Server, jwks: Path, api: str, status: int, code: str, door: type
) -> None:
    """By each operation that documents it; the session checks the rest of the answer."""
    prepare, provoke = provoking.PROBLEMS[status, code]
    async with provoking.place(valkey, jwks, code, door) as place:
        await prepare(place)
        for operation in WITH_A_PROBLEM[api, status, code]:
            answer = await provoke(place, operation)
            document = orjson.loads(answer.body)
            assert (answer.status, document["code"]) == (status, code), f"{operation.name}: {document}"
            # The request for `bad_request` is no HTTP, so its origin is not read.
            _check_origin(answer, operation, known=code != "bad_request" or status != HTTPStatus.BAD_REQUEST)


def _name(value: object) -> str:
    return value.name if isinstance(value, Operation) else getattr(value, "__name__", str(value))


@pytest.mark.parametrize(("operation", "status", "door"), SUCCESSES, ids=_name)
async def test_every_documented_success_is_seen(
    valkey: Server, jwks: Path, operation: Operation, status: int, door: type
) -> None:
    """Each status of each operation that is no problem."""
    prepare, provoke = provoking.success(operation, status)
    async with provoking.place(valkey, jwks, "", door) as place:
        await prepare(place)
        answer = await provoke(place, operation)
        assert answer.status == status, answer.body
        _check_origin(answer, operation, known=True)


def _check_origin(answer: provoking.Seen, operation: Operation, *, known: bool) -> None:
    """On the public port a page of a configured origin may read the answer, if the origin is known."""
    allowed = provoking.ORIGIN if known and operation.api == "public" else None
    assert answer.headers.get("Access-Control-Allow-Origin") == allowed, operation.name


def test_nothing_else_is_provoked() -> None:
    """A problem that no operation documents any more is not prepared either."""
    assert set(provoking.PROBLEMS) == {(status, code) for _, status, code in WITH_A_PROBLEM}


@pytest.mark.parametrize("api", DOORS)
async def test_requests_for_no_operation_are_documented(valkey: Server, jwks: Path, api: str) -> None:
    """An unknown address and a method that an address does not take: components of the document, of no operation."""
    async with provoking.place(valkey, jwks, "", Lane) as place:
        served = place.gateway if api == "public" else place.console
        for method, path, status, code in (
            ("GET", "/nowhere", 404, "not_found"),
            ("DELETE", "/docs", 405, "method_not_allowed"),
        ):
            async with served.http.request(method, path, headers=ADMIN if api == "console" else {}) as answer:
                document = await answer.json(content_type=None)
                assert (answer.status, document["code"]) == (status, code)


async def test_head_has_the_headers_of_get(valkey: Server, jwks: Path) -> None:
    """Of every GET, without a body: status and all headers but the date."""
    async with provoking.place(valkey, jwks, "", Lane) as place:
        await provoking.success(operations()[0], 200)[0](place)
        for operation in operations():
            if operation.method == "GET":
                got, head = [await place.send(operation, method=method) for method in ("GET", "HEAD")]
                assert (head.status, head.body) == (got.status, b"")
                assert _constant(head) == _constant(got), operation.name


def _constant(seen: provoking.Seen) -> dict[str, str]:
    # A stream may be sent with either framing.
    # Only aiohttp names itself, and it answers most requests for heads.
    changing = {"Date", "Content-Length", "Transfer-Encoding", "Server"}
    return {name: value for name, value in seen.headers.items() if name not in changing}
