"""`POST /v1/rounds/{id}/passes`: verifies a token once, before the drop, so that claims need a cheap check alone."""

from functools import lru_cache
from http import HTTPStatus

from aiohttp import web

from claimd.contract.limits import PASS_GRACE_DAYS
from claimd.contract.problems import Code
from claimd.domain.rounds import Round
from claimd.domain.times import MAX_TIME_MS, to_rfc3339
from claimd.gateway.context import CONTEXT
from claimd.gateway.credentials import authenticate_by_token, is_caller_eligible
from claimd.gateway.rounds import existing_round
from claimd.http.bodies import require_no_fields
from claimd.http.problems import reject
from claimd.identity.passes import Passes

_GRACE_MS = PASS_GRACE_DAYS * 24 * 3600 * 1000


async def issue_pass(request: web.Request) -> web.Response:
    """201 with a pass for the caller, valid for a year after the round's end or from now; 403 if not eligible."""
    context, round_id = request.app[CONTEXT], request.match_info["round_id"]
    caller = await authenticate_by_token(request)
    await require_no_fields(request)
    item, reading = await existing_round(context.readings, round_id)
    if not is_caller_eligible(item, caller):
        # The eligibility may have been edited since: an edit counts for the very next request.
        item, reading = await existing_round(context.readings, round_id, anew=True)
        if not is_caller_eligible(item, caller):
            raise reject(Code.NOT_ELIGIBLE)
    body = new_pass(context.passes, item, caller.identity, reading.now_ms())
    return web.Response(status=HTTPStatus.CREATED, body=body, content_type="application/json")


def new_pass(passes: Passes, item: Round, identity: bytes, now_ms: int) -> bytes:
    """The body of the answer with a pass in the present epoch of the round, as `contract.claims.PassAnswer`.

    The reading of the round may be older than an edit of its eligibility: then the pass is outdated, as the server
    compares its epoch at each claim.
    """
    expires_at_ms = min(max(item.definition.closes_at_ms, now_ms) + _GRACE_MS, MAX_TIME_MS)
    text = passes.issue_pass(item.id, identity, expires_at_ms, item.epoch)
    return b'{"pass":"%b","expires_at":"%b"}' % (text.encode(), _encoded_time(expires_at_ms))


# Passes of one round expire at one moment.
@lru_cache(maxsize=1024)
def _encoded_time(time_ms: int) -> bytes:
    return to_rfc3339(time_ms).encode()
