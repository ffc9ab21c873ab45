"""A person's claim: found by the identifier in their token, and taken back."""

import orjson
from aiohttp import web

from claimd.console.archived import in_its_archive
from claimd.console.bodies import validated
from claimd.console.context import CONTEXT
from claimd.contract import details
from claimd.contract.edits import ClaimSearch, Voiding
from claimd.contract.limits import MAX_CONSOLE_BODY_BYTES
from claimd.contract.problems import Code
from claimd.domain.claims import Claim, serial_of
from claimd.domain.times import to_rfc3339
from claimd.http.bodies import read_object
from claimd.http.documents import claim_json
from claimd.http.problems import ProblemError, reject, retry_later
from claimd.http.rounds import existing_round
from claimd.identity.keys import identity_digest


async def find(request: web.Request) -> web.Response:
    """`POST /admin/v1/rounds/{id}/claims/find`: 200 with the claim, 404 or 410; 503 where the console has no secret."""
    context, round_id = request.app[CONTEXT], request.match_info["round_id"]
    body = validated(ClaimSearch, await read_object(request, MAX_CONSOLE_BODY_BYTES))
    if context.identity_key is None:
        raise ProblemError(retry_later(Code.UNAVAILABLE, details.CONSOLE_WITHOUT_SECRET()))
    await existing_round(context.rounds, round_id, in_its_archive)
    (decision,) = await context.claims.find_claims(round_id, [identity_digest(context.identity_key, body.sub)])
    if not decision.serial:
        raise reject(Code.NOT_CLAIMED)
    return _json({"claim": claim_json(Claim(round_id, decision.serial, decision.claimed_at_ms))})


async def void(request: web.Request) -> web.Response:
    """`POST /admin/v1/rounds/{id}/claims/{claim}/void`: 200, also where it was voided before; 404 or 410."""
    context, round_id = request.app[CONTEXT], request.match_info["round_id"]
    body = validated(Voiding, await read_object(request, MAX_CONSOLE_BODY_BYTES))
    await existing_round(context.rounds, round_id, in_its_archive)
    serial = serial_of(round_id, request.match_info["claim"])
    voided = None
    if serial is not None:
        voided = (await context.voids.claim_void(round_id, serial, bar=body.bar, reason=body.reason)).claim
    if voided is None:
        # The round may have been archived meanwhile.
        await existing_round(context.rounds, round_id, in_its_archive)
        raise reject(Code.NOT_CLAIMED, details.NO_CLAIM_OF_THIS_ID(claim=request.match_info["claim"]))
    claim = claim_json(Claim(round_id, voided.serial, voided.claimed_at_ms))
    return _json({"claim": claim, "voided_at": to_rfc3339(voided.voided_at_ms), "barred": voided.barred})


def _json(document: object) -> web.Response:
    return web.Response(body=orjson.dumps(document), content_type="application/json")
