"""Creating, editing, pausing, resuming and closing rounds."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from claimd.console.bodies import NewRound, Reason, RoundChanges, validated
from claimd.console.context import CONTEXT
from claimd.domain.outcomes import EditOutcome
from claimd.domain.rounds import Definition, is_round_id
from claimd.http.bodies import read_object
from claimd.http.problems import ProblemError, refused
from claimd.http.replies import round_json
from claimd.http.rounds import read_round, read_rounds
from claimd.store.protocol import Edited

# A pack of 4 KiB, and room for the rest.
_MAX_BODY_BYTES = 16 * 1024


async def create(request: web.Request) -> web.Response:
    """`POST /admin/v1/rounds`."""
    body = validated(NewRound, await read_object(request, _MAX_BODY_BYTES))
    definition = Definition(body.id, body.title, body.total, body.opens_at, body.closes_at, body.pack, body.eligibility)
    return _answer(await request.app[CONTEXT].store.round_create(definition, reason="created"), HTTPStatus.CREATED)


async def edit(request: web.Request) -> web.Response:
    """`PATCH /admin/v1/rounds/{id}`."""
    body = validated(RoundChanges, await read_object(request, _MAX_BODY_BYTES))
    return await _edit(request, body.changes(), body.reason)


def flag(name: str, value: bool) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler for `POST …/pause`, `/resume` or `/close`."""

    async def handler(request: web.Request) -> web.Response:
        body = validated(Reason, await read_object(request))
        return await _edit(request, {name: value}, body.reason)

    return handler


async def list_all(request: web.Request) -> web.Response:
    """`GET /admin/v1/rounds`."""
    body = orjson.dumps(await read_rounds(request.app[CONTEXT].store))
    return web.Response(body=body, content_type="application/json")


async def show(request: web.Request) -> web.Response:
    """`GET /admin/v1/rounds/{id}`."""
    body = orjson.dumps(await read_round(request.app[CONTEXT].store, request.match_info["round_id"]))
    return web.Response(body=body, content_type="application/json")


async def _edit(request: web.Request, changes: dict[str, Any], reason: str) -> web.Response:
    round_id = request.match_info["round_id"]
    if not is_round_id(round_id):
        raise refused(HTTPStatus.NOT_FOUND, "round_not_found")
    return _answer(await request.app[CONTEXT].store.round_edit(round_id, changes, reason), HTTPStatus.OK)


def _answer(edited: Edited, status: HTTPStatus) -> web.Response:
    if edited.outcome is not EditOutcome.DONE or edited.round is None:
        raise _refusal(edited)
    body = orjson.dumps(round_json(edited.round, edited.now_ms))
    return web.Response(status=status, body=body, content_type="application/json")


def _refusal(edited: Edited) -> ProblemError:
    match edited.outcome:
        case EditOutcome.TOTAL_BELOW_ISSUED:
            issued = edited.round.issued if edited.round else 0
            return refused(HTTPStatus.CONFLICT, "total_below_issued", f"{issued} were issued already.", issued=issued)
        case EditOutcome.INVALID_WINDOW:
            detail = "closes_at must be later than opens_at"
            return refused(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_round", detail, field="closes_at")
        case EditOutcome.ROUND_EXISTS:
            return refused(HTTPStatus.CONFLICT, "round_exists")
        case _:
            return refused(HTTPStatus.NOT_FOUND, "round_not_found")
