"""Makes each documented problem happen, to each operation that documents it.

A situation is made once for a code: servers and a round in a certain state. Then every operation is sent a request that
is good but for what the code is about.
"""

import fcntl
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from multidict import CIMultiDict

from claimd.domain.claims import claim_id
from claimd.domain.times import HOUR_MS
from claimd.engine.batcher import BatchLimits
from claimd.store.redis import keys
from tests.contract.documented import Operation
from tests.http import serving
from tests.http.serving import ADMIN, KEYS, Served, identity_of, open_round, with_bearer, with_pass
from tests.identity.identity_provider import token
from tests.rounds import now_ms
from tests.servers import Server

_PERSON = "ada"
# Of the page that sends all requests to the gateway; it is a configured one.
ORIGIN = "https://app.example.com"
# More than any route takes.
_LARGE = b'{"reason":"' + b"x" * 20_000 + b'"}'


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer that was read whole, and so checked."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """A gateway and a console over one server."""

    valkey: Server
    gateway: Served
    console: Served
    archive_dir: Path
    stack: AsyncExitStack

    async def send(
        self,
        operation: Operation,
        round_id: str = "night",
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        anonymous: bool = False,
        method: str = "",
    ) -> Seen:
        """The answer to a good request of a person or an operator; what is given replaces its own."""
        sent: CIMultiDict[str] = CIMultiDict({} if anonymous else _credentials(operation, round_id))
        body = _body(operation) if body is None else body
        if operation.api == "public":
            sent["Origin"] = ORIGIN
        if body is not None:
            sent["Content-Type"] = "application/json"
        for name, _ in headers:
            sent.popall(name, None)
        sent.extend(headers)
        path = operation.path.replace("{id}", round_id).replace("{claim}", claim_id(round_id, 1))
        # Of the metrics, those of a round need the server.
        names = [parameter["name"] for parameter in operation.content.get("parameters", ())]
        params = {"round": round_id} if "round" in names else None
        served = self.gateway if operation.api == "public" else self.console
        async with served.http.request(
            method or operation.method, path, headers=sent, data=body, params=params
        ) as answer:
            return Seen(answer.status, answer.headers, await answer.read())


Prepare = Callable[[Place], Awaitable[Any]]
Provoke = Callable[[Place, Operation], Awaitable[Seen]]


def _credentials(operation: Operation, round_id: str) -> dict[str, str]:
    schemes = {scheme for needed in operation.content["security"] for scheme in needed}
    if "adminToken" in schemes:
        return ADMIN
    if "pass" in schemes:
        return with_pass(_PERSON, round_id)
    return with_bearer(token(_PERSON)) if "token" in schemes else {}


def _body(operation: Operation) -> bytes | None:
    """The documented example; None for a request without fields."""
    content = operation.content.get("requestBody", {}).get("content", {}).get("application/json")
    return json.dumps(content["example"]).encode() if content and content["example"] else None


def _round(round_id: str = "night", **fields: Any) -> Prepare:
    async def prepare(place: Place) -> None:
        await open_round(place.gateway.store, round_id, **fields)

    return prepare


def _edited(**changes: Any) -> Prepare:
    async def prepare(place: Place) -> None:
        await open_round(place.gateway.store)
        await place.gateway.store.rounds.round_edit("night", changes, "for a test")

    return prepare


async def _nothing(_place: Place) -> None:
    """No round."""


async def _claimed(place: Place) -> None:
    await open_round(place.gateway.store)
    await place.gateway.store.claims.claim("night", [identity_of(name) for name in (_PERSON, "bob")])


async def _barred(place: Place) -> None:
    await _claimed(place)
    await place.gateway.store.voids.claim_void("night", 1, bar=True, reason="fraud")


async def _over(place: Place) -> None:
    await _claimed(place)
    await place.gateway.store.rounds.round_edit("night", {"closed": True}, "done")


async def _archived(place: Place) -> None:
    await _over(place)
    answer = await place.console.http.post("/admin/v1/rounds/night/archive", headers=ADMIN, json={"reason": "over"})
    assert answer.status == HTTPStatus.OK


async def _revoked(place: Place) -> None:
    await open_round(place.gateway.store)
    path = "/admin/v1/rounds/night/passes/revoke"
    assert (await place.console.http.post(path, headers=ADMIN, json={"reason": "leaked"})).status == HTTPStatus.OK


async def _tampered(place: Place) -> None:
    await _over(place)
    with place.valkey.client() as client:
        client.delete(keys.of_round("night").log)


async def _no_folder(place: Place) -> None:
    await _over(place)
    place.archive_dir.write_text("in the way")


async def _folder_in_use(place: Place) -> None:
    await _over(place)
    place.archive_dir.mkdir()
    descriptor = os.open(place.archive_dir, os.O_RDONLY)
    place.stack.callback(os.close, descriptor)
    fcntl.flock(descriptor, fcntl.LOCK_EX)


async def _lost(place: Place) -> None:
    await open_round(place.gateway.store)
    place.valkey.kill()


def _good(**changed: Any) -> Provoke:
    """A good request but for what is given, as for `Place.send`."""

    async def provoke(place: Place, operation: Operation) -> Seen:
        return await place.send(operation, **changed)

    return provoke


async def _by_token(place: Place, operation: Operation) -> Seen:
    return await place.send(operation, headers=list(with_bearer(token(_PERSON)).items()))


async def _again(place: Place, operation: Operation) -> Seen:
    etag = (await place.send(operation)).headers["ETag"]
    return await place.send(operation, headers=[("If-None-Match", etag)])


_TWO_TYPES = [("Content-Type", "application/json"), ("Content-Type", "text/plain")]
_LATER: Mapping[str, Any] = {"opens_at_ms": now_ms() + 24 * HOUR_MS, "closes_at_ms": now_ms() + 25 * HOUR_MS}
_UNKNOWN_FIELD = _good(body=b'{"seriel":1}')

# For each documented status and code: what to prepare, and what to send to each operation that has it.
PROBLEMS: Mapping[tuple[int, str], tuple[Prepare, Provoke]] = {
    (400, "bad_request"): (_round(), _good(headers=_TWO_TYPES, body=b"{}")),
    (401, "unauthenticated"): (_round(), _good(anonymous=True)),
    (401, "pass_outdated"): (_revoked, _good()),
    (403, "not_eligible"): (_round(eligibility={"city": ["macao"]}), _by_token),
    (403, "barred"): (_barred, _good()),
    (404, "round_not_found"): (_round(), _good(round_id="nowhere")),
    (404, "not_claimed"): (_round(), _good()),
    (409, "not_open"): (_round(**_LATER), _good()),
    (409, "paused"): (_edited(paused=True), _good()),
    (409, "sold_out"): (_round(total=0), _good()),
    (409, "closed"): (_edited(closed=True), _good()),
    (409, "round_exists"): (_round("spring-5"), _good()),
    (409, "total_below_issued"): (_claimed, _good(body=b'{"total":1,"reason":"fewer"}')),
    (409, "has_claims"): (_claimed, _good()),
    (409, "not_closed"): (_round(), _good()),
    (409, "archiving"): (_folder_in_use, _good()),
    (409, "audit_failed"): (_tampered, _good()),
    (410, "archived"): (_archived, _good()),
    (412, "version_mismatch"): (_round(), _good(headers=[("If-Match", '"99"')])),
    (413, "too_large"): (_round(), _good(body=_LARGE)),
    (415, "unsupported_media_type"): (_round(), _good(headers=[("Content-Type", "text/plain")], body=b"{}")),
    (422, "bad_request"): (_round(), _UNKNOWN_FIELD),
    (422, "invalid_round"): (_round(), _UNKNOWN_FIELD),
    (429, "rate_limited"): (_round(), _good()),
    (500, "archive_failed"): (_no_folder, _good()),
    (503, "overloaded"): (_nothing, _good()),
    (503, "unavailable"): (_lost, _good()),
}
# The same for answers that are no problems, by operationId, where a held claim in an open round is not what it needs.
_SUCCESSES: Mapping[tuple[str, int], tuple[Prepare, Provoke]] = {
    ("createRound", 201): (_nothing, _good()),
    ("deleteRound", 204): (_round(), _good()),
    ("archiveRound", 200): (_over, _good()),
    ("claim", 201): (_round(), _good()),
    ("findClaim", 200): (_claimed, _good(body=b'{"sub":"ada"}')),
}


def success(operation: Operation, status: int) -> tuple[Prepare, Provoke]:
    """What to prepare and to send for an answer that is no problem."""
    if status == HTTPStatus.NOT_MODIFIED:
        return _claimed, _again
    return _SUCCESSES.get((operation.content["operationId"], status), (_claimed, _good()))


@asynccontextmanager
async def place(valkey: Server, jwks: Path, code: str, door: type) -> AsyncIterator[Place]:
    """Both sides, with the limits that a code needs: no connection left, no request allowed, a short deadline."""
    most_connections = 0 if code == "overloaded" else None
    limits = BatchLimits(deadline_seconds=0.2) if code == "unavailable" else None
    requests = 0 if code == "rate_limited" else 1_000_000
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(
            serving.gateway(
                valkey.url,
                jwks=jwks,
                door=door,
                requests_per_identity=requests,
                limits=limits,
                most_connections=most_connections,
                cors_origins=(ORIGIN,),
            )
        )
        console = await stack.enter_async_context(
            serving.console(valkey.url, most_connections=most_connections, keys=KEYS)
        )
        assert console.archive_dir is not None
        yield Place(valkey, gateway, console, console.archive_dir, stack)
