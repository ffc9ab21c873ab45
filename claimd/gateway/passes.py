"""`POST /v1/rounds/{id}/passes`: verifies a token once, before the drop, so that claims need a cheap check alone."""

from http import HTTPStatus

import orjson
from aiohttp import web

from claimd.contract.limits import PASS_GRACE_DAYS
from claimd.contract.problems import Code
from claimd.domain.times import MAX_TIME_MS, to_rfc3339
from claimd.gateway.context import CONTEXT
from claimd.gateway.credentials import authenticate_by_token, is_caller_eligible
from claimd.http.bodies import require_no_fields
from claimd.http.problems import reject
from claimd.http.rounds import existing_round

_GRACE_MS = PASS_GRACE_DAYS * 24 * 3600 * 1000


async def issue_pass(request: web.Request) -> web.Response:
    """201 with a pass for the caller, valid for a year after the round's end or from now; 403 if not eligible."""
    context, round_id = request.app[CONTEXT], request.match_info["round_id"]
    caller = await authenticate_by_token(request)
    await require_no_fields(request)
    item, now_ms = await existing_round(context.rounds, round_id)
    if not is_caller_eligible(item, caller):
        raise reject(Code.NOT_ELIGIBLE)
    expires_at_ms = min(max(item.definition.closes_at_ms, now_ms) + _GRACE_MS, MAX_TIME_MS)
    text = context.passes.issue_pass(round_id, caller.identity, expires_at_ms, item.epoch)
    body = orjson.dumps({"pass": text, "expires_at": to_rfc3339(expires_at_ms)})
    return web.Response(status=HTTPStatus.CREATED, body=body, content_type="application/json")
