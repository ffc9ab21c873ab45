"""`POST /v1/rounds/{id}/claims` and `GET …/claims/me`, at the aiohttp door; the lane answers most claims."""

from aiohttp import web

from claimd.contract.problems import Code
from claimd.domain.outcomes import Decision, Outcome
from claimd.domain.rounds import NO_EPOCH, is_round_id
from claimd.gateway.context import CONTEXT, Context
from claimd.gateway.credentials import Caller, authenticate, is_caller_eligible
from claimd.gateway.rounds import existing_round
from claimd.http.bodies import require_no_fields
from claimd.http.decision_answers import granted, held_claim, problem_of
from claimd.http.languages import request_language
from claimd.http.problems import ProblemError, reject


async def claim(request: web.Request) -> web.Response:
    """`POST /v1/rounds/{id}/claims`: 201 for a grant, 200 with the same claim for a replay."""
    context, round_id = request.app[CONTEXT], request.match_info["round_id"]
    caller = await authenticate(request, round_id)
    await require_no_fields(request)
    if caller.token_claims is None:
        decision = await context.engine.claim(round_id, caller.identity, caller.epoch)
    else:
        decision = await _claim_by_token(context, round_id, caller)
    grant = granted(round_id, decision)
    if grant is None:
        return problem_of(decision).response(request_language(request))
    status, body = grant
    return web.Response(status=status, body=body, content_type="application/json")


async def _claim_by_token(context: Context, round_id: str, caller: Caller) -> Decision:
    """Decide the claim of a caller with a token: a claim that the caller holds is replayed whatever the eligibility.

    The epoch of the decision shows whether the eligibility was edited since the reading: then the round is read and the
    claim decided again.
    """
    item, _ = await existing_round(context.readings, round_id)
    while True:
        eligible = is_caller_eligible(item, caller)
        decision = await context.engine.claim(round_id, caller.identity, item.epoch if eligible else NO_EPOCH)
        if decision.outcome is not Outcome.PASS_OUTDATED:
            return decision
        if decision.epoch == item.epoch:
            raise reject(Code.NOT_ELIGIBLE)
        item, _ = await existing_round(context.readings, round_id, anew=True)


async def show_my_claim(request: web.Request) -> web.Response:
    """`GET /v1/rounds/{id}/claims/me`: 200 with the claim that the caller holds, else 404."""
    context, round_id = request.app[CONTEXT], request.match_info["round_id"]
    caller = await authenticate(request, round_id)
    if not is_round_id(round_id):
        raise reject(Code.ROUND_NOT_FOUND)
    decision = await context.engine.find_claim(round_id, caller.identity)
    if not decision.serial:
        raise ProblemError(problem_of(decision))
    body = held_claim(round_id, decision.claimed_at_ms).fill(b"%d" % decision.serial)
    return web.Response(body=body, content_type="application/json")
