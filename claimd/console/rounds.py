"""Creating, reading, editing, commanding and deleting rounds.

`If-Match` binds an edit to a version, so that of two operators who edit the same version the second gets 412.
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import hdrs, web

from claimd.console.archived import in_its_archive
from claimd.console.bodies import validated
from claimd.console.conditions import etag, wanted_version
from claimd.console.context import CONTEXT
from claimd.contract import details
from claimd.contract.edits import Deletion, NewRound, Reason, RoundChanges
from claimd.contract.limits import MAX_CONSOLE_BODY_BYTES
from claimd.contract.problems import CODE_OF_EDIT, Code
from claimd.domain.log import EditAction
from claimd.domain.outcomes import EditOutcome
from claimd.domain.rounds import MAX_TOTAL, Definition, is_round_id
from claimd.http.bodies import read_object
from claimd.http.documents import operator_round_json
from claimd.http.paging import PageQuery
from claimd.http.problems import ProblemError, reject
from claimd.http.rounds import read_round, read_rounds
from claimd.store.ports import Edited


async def create(request: web.Request) -> web.Response:
    """`POST /admin/v1/rounds`: 201 with the round, 409 or 422."""
    body = validated(NewRound, await read_object(request, MAX_CONSOLE_BODY_BYTES))
    definition = Definition(body.id, body.title, body.total, body.opens_at, body.closes_at, body.pack, body.eligibility)
    return _answer(await request.app[CONTEXT].rounds.round_create(definition, reason="created"), HTTPStatus.CREATED)


async def edit(request: web.Request) -> web.Response:
    """`PATCH /admin/v1/rounds/{id}`: 200 with the round, 404, 409, 410, 412 or 422."""
    body = validated(RoundChanges, await read_object(request, MAX_CONSOLE_BODY_BYTES))
    return await _edit(request, EditAction.EDIT, body.changes(), body.reason)


def command(action: EditAction, changes: Mapping[str, Any]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler for `POST …/pause`, `/resume`, `/close` or `/passes/revoke`."""

    async def handler(request: web.Request) -> web.Response:
        body = validated(Reason, await read_object(request, MAX_CONSOLE_BODY_BYTES))
        return await _edit(request, action, dict(changes), body.reason)

    return handler


async def delete(request: web.Request) -> web.Response:
    """`DELETE /admin/v1/rounds/{id}`: 204 where nothing was ever issued, else 409 `has_claims`."""
    body = validated(Deletion, await read_object(request, MAX_CONSOLE_BODY_BYTES))
    deleted = await request.app[CONTEXT].rounds.round_delete(
        _round_id(request), body.reason, if_version=wanted_version(request)
    )
    if deleted.outcome is not EditOutcome.DONE:
        raise _rejected(deleted)
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def list_all(request: web.Request) -> web.Response:
    """`GET /admin/v1/rounds`: 200 with a page of rounds."""
    asked = PageQuery.parse(request.query)
    body = orjson.dumps(await read_rounds(request.app[CONTEXT].rounds, asked, operator_round_json))
    return web.Response(body=body, content_type="application/json")


async def show(request: web.Request) -> web.Response:
    """`GET /admin/v1/rounds/{id}`: 200 with the round and its ETag, 404 or 410."""
    rounds, round_id = request.app[CONTEXT].rounds, request.match_info["round_id"]
    found = await read_round(rounds, round_id, operator_round_json, in_its_archive)
    return _json(found, HTTPStatus.OK)


async def _edit(request: web.Request, action: EditAction, changes: dict[str, Any], reason: str) -> web.Response:
    edited = await request.app[CONTEXT].rounds.round_edit(
        _round_id(request), changes, reason, action=action, if_version=wanted_version(request)
    )
    return _answer(edited, HTTPStatus.OK)


def _round_id(request: web.Request) -> str:
    round_id = request.match_info["round_id"]
    if not is_round_id(round_id):
        raise reject(Code.ROUND_NOT_FOUND)
    return round_id


def _answer(edited: Edited, status: HTTPStatus) -> web.Response:
    if edited.outcome is not EditOutcome.DONE or edited.round is None:
        raise _rejected(edited)
    return _json(operator_round_json(edited.round, edited.now_ms), status)


def _json(found: Mapping[str, Any], status: HTTPStatus) -> web.Response:
    headers = {hdrs.ETAG: etag(found["version"])}
    return web.Response(status=status, body=orjson.dumps(found), content_type="application/json", headers=headers)


def _rejected(edited: Edited) -> ProblemError:
    """The problem of an edit that was not done: what the operator must know is in its detail and members."""
    if edited.archived is not None and edited.outcome is not EditOutcome.ROUND_EXISTS:
        return in_its_archive(edited.archived)
    code = CODE_OF_EDIT[edited.outcome]
    version, total, issued, held = (
        (edited.round.version, edited.round.definition.total, edited.round.issued, edited.round.held)
        if edited.round
        else (0, 0, 0, 0)
    )
    match edited.outcome:
        case EditOutcome.VERSION_MISMATCH:
            return reject(code, details.AT_VERSION(version=version), version=version)
        case EditOutcome.INVALID_TOTAL:
            detail = details.TOTAL_OUT_OF_RANGE(most=MAX_TOTAL, total=total)
            return reject(code, detail, field="total_change")
        case EditOutcome.HAS_CLAIMS:
            return reject(code, details.CLOSE_INSTEAD(issued=issued), issued=issued)
        case EditOutcome.TOTAL_BELOW_ISSUED:
            return reject(code, details.ISSUED_ALREADY(issued=held), issued=held)
        case EditOutcome.INVALID_WINDOW:
            return reject(code, details.ENDS_BEFORE_IT_BEGINS(), field="closes_at")
        case _:
            return reject(code)
