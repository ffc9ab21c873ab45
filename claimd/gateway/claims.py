"""`POST /v1/rounds/{id}/claims` and `GET …/claims/me`: the reason for all the rest."""

import orjson
from aiohttp import web

from claimd.contract.problems import Code
from claimd.domain.outcomes import Decision, Outcome
from claimd.domain.rounds import NO_EPOCH, is_round_id
from claimd.gateway.context import CONTEXT, Context
from claimd.gateway.credentials import Asking, asking_with_pass_or_bearer, is_admitted, known_round
from claimd.http.bodies import refuse_fields
from claimd.http.documents import claim_json
from claimd.http.problems import ProblemError, reject
from claimd.http.replies import granted, problem_of


async def claim(request: web.Request) -> web.Response:
    """Claim: 201 the first time, 200 with the same claim ever after."""
    context, round_id = request.app[CONTEXT], request.match_info["round_id"]
    asking = await asking_with_pass_or_bearer(request, round_id)
    await refuse_fields(request)
    if asking.claims is None:
        decision = await context.engine.claim(round_id, asking.identity, asking.epoch)
    else:
        decision = await _claim_by_bearer(context, round_id, asking)
    grant = granted(round_id, decision)
    if grant is None:
        return problem_of(decision).response()
    status, body = grant
    return web.Response(status=status, body=body, content_type="application/json")


async def _claim_by_bearer(context: Context, round_id: str, asking: Asking) -> Decision:
    """The decision on a bearer's claim: a claim that is held is replayed before eligibility is looked at.

    Eligibility may be edited between the reading and the decision: then the new one is read and judged.
    """
    while True:
        item, _ = await known_round(context, round_id)
        eligible = is_admitted(item, asking)
        decision = await context.engine.claim(round_id, asking.identity, item.epoch if eligible else NO_EPOCH)
        if decision.outcome is not Outcome.PASS_OUTDATED:
            return decision
        if not eligible:
            raise reject(Code.NOT_ELIGIBLE)


async def held(request: web.Request) -> web.Response:
    """The claim that the asking identity holds."""
    context, round_id = request.app[CONTEXT], request.match_info["round_id"]
    asking = await asking_with_pass_or_bearer(request, round_id)
    found = await context.claims.find_claim(round_id, asking.identity) if is_round_id(round_id) else None
    if found is None or not found.round_exists:
        raise reject(Code.ROUND_NOT_FOUND)
    if found.archived:
        raise ProblemError(problem_of(Decision(Outcome.ARCHIVED)))
    if found.claim is None:
        raise reject(Code.NOT_CLAIMED)
    return web.Response(body=orjson.dumps({"claim": claim_json(found.claim)}), content_type="application/json")
