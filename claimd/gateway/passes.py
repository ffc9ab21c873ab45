"""`POST /v1/rounds/{id}/passes`: the expensive check, done before the drop instead of during it."""

from http import HTTPStatus

import orjson
from aiohttp import web

from claimd.contract.limits import PASS_GRACE_DAYS
from claimd.contract.problems import Code
from claimd.domain.times import MAX_TIME_MS, to_rfc3339
from claimd.gateway.context import CONTEXT
from claimd.gateway.credentials import asking_with_bearer, is_admitted, known_round
from claimd.http.bodies import refuse_fields
from claimd.http.problems import reject

_GRACE_MS = PASS_GRACE_DAYS * 24 * 3600 * 1000


async def issue(request: web.Request) -> web.Response:
    """A pass for the bearer in this round, if eligible; valid for a year after the round's end, or from now."""
    context, round_id = request.app[CONTEXT], request.match_info["round_id"]
    asking = await asking_with_bearer(request)
    await refuse_fields(request)
    item, now_ms = await known_round(context, round_id)
    if not is_admitted(item, asking):
        raise reject(Code.NOT_ELIGIBLE)
    expires_at_ms = min(max(item.definition.closes_at_ms, now_ms) + _GRACE_MS, MAX_TIME_MS)
    text = context.passes.issue_pass(round_id, asking.identity, expires_at_ms, item.epoch)
    body = orjson.dumps({"pass": text, "expires_at": to_rfc3339(expires_at_ms)})
    return web.Response(status=HTTPStatus.CREATED, body=body, content_type="application/json")
