"""`POST /v1/rounds/{id}/claims` and `GET …/claims/me`, at the aiohttp door; the lane answers most claims."""

import orjson
from aiohttp import web

from claimd.contract.problems import Code
from claimd.domain.outcomes import Decision, Outcome
from claimd.domain.rounds import NO_EPOCH, is_round_id
from claimd.gateway.context import CONTEXT, Context
from claimd.gateway.credentials import Caller, authenticate, is_caller_eligible
from claimd.http.bodies import require_no_fields
from claimd.http.decision_answers import granted, problem_of
from claimd.http.documents import claim_json
from claimd.http.problems import ProblemError, reject
from claimd.http.rounds import existing_round


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
        return problem_of(decision).response()
    status, body = grant
    return web.Response(status=status, body=body, content_type="application/json")


async def _claim_by_token(context: Context, round_id: str, caller: Caller) -> Decision:
    """Decide the claim of a caller with a token: a claim that the caller holds is replayed whatever the eligibility.

    Where the eligibility was edited between the reading and the decision, read the round again and decide again.
    """
    while True:
        item, _ = await existing_round(context.rounds, round_id)
        eligible = is_caller_eligible(item, caller)
        decision = await context.engine.claim(round_id, caller.identity, item.epoch if eligible else NO_EPOCH)
        if decision.outcome is not Outcome.PASS_OUTDATED:
            return decision
        if not eligible:
            raise reject(Code.NOT_ELIGIBLE)


async def show_my_claim(request: web.Request) -> web.Response:
    """`GET /v1/rounds/{id}/claims/me`: 200 with the claim that the caller holds, else 404."""
    context, round_id = request.app[CONTEXT], request.match_info["round_id"]
    caller = await authenticate(request, round_id)
    found = await context.claims.find_claim(round_id, caller.identity) if is_round_id(round_id) else None
    if found is None or not found.round_exists:
        raise reject(Code.ROUND_NOT_FOUND)
    if found.archived:
        raise ProblemError(problem_of(Decision(Outcome.ARCHIVED)))
    if found.claim is None:
        raise reject(Code.NOT_CLAIMED)
    return web.Response(body=orjson.dumps({"claim": claim_json(found.claim)}), content_type="application/json")
