"""Who is asking: reads `Authorization: Pass …` and `Authorization: Bearer …` and answers with an identity."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import hdrs, web

from claimd.contract.problems import Code
from claimd.domain.outcomes import Decision, Outcome
from claimd.domain.rounds import NO_EPOCH, Round
from claimd.gateway.context import CONTEXT, Context
from claimd.http.problems import ProblemError, retry_later, unauthenticated
from claimd.http.replies import problem_of
from claimd.http.rounds import existing_round
from claimd.identity.eligibility import is_eligible
from claimd.identity.fresh_keys import KeysUnavailable
from claimd.identity.keys import identity_digest
from claimd.identity.unauthenticated import Unauthenticated


@dataclass(frozen=True, slots=True)
class Asking:
    """`claims` are those of the bearer token; None for a pass, whose eligibility was checked when it was issued.

    `epoch` is the eligibility epoch of a pass.
    """

    identity: bytes
    claims: Mapping[str, Any] | None
    epoch: int = NO_EPOCH


async def asking_with_pass_or_bearer(request: web.Request, round_id: str) -> Asking:
    """The caller, by a pass for this round or a bearer token; else the request ends with 401, 429 or 503."""
    context = request.app[CONTEXT]
    scheme, _, value = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    match scheme.lower():
        case "pass":
            verified = context.passes.verify_pass(round_id, value.strip(" \t"), time.time_ns() // 1_000_000)
            if isinstance(verified, Unauthenticated):
                raise ProblemError(unauthenticated(verified))
            identity, epoch = verified
            return _admitted(context, Asking(identity, None, epoch))
        case "bearer":
            return _admitted(context, await _bearer(context, value.strip(" \t")))
        case _:
            raise ProblemError(unauthenticated(Unauthenticated.NO_CREDENTIALS))


async def asking_with_bearer(request: web.Request) -> Asking:
    """The caller, by a bearer token; else the request ends with 401, 429 or 503."""
    context = request.app[CONTEXT]
    scheme, _, value = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "bearer":
        raise ProblemError(unauthenticated(Unauthenticated.NO_CREDENTIALS))
    return _admitted(context, await _bearer(context, value.strip(" \t")))


async def known_round(context: Context, round_id: str) -> tuple[Round, int]:
    """The round as it is now, and the server's time in milliseconds; else the request ends with 404 or 410.

    Read anew each time: an edit of the eligibility counts for the very next claim.
    """
    return await existing_round(context.rounds, round_id)


def is_admitted(item: Round, asking: Asking) -> bool:
    """Whether a bearer's claims fit the eligibility of the round."""
    return is_eligible(item.definition.eligibility, asking.claims or {})


async def _bearer(context: Context, token: str) -> Asking:
    try:
        verdict = await context.bearer_tokens.verify_token(token)
    except KeysUnavailable:
        detail = "The identity provider's keys could not be read yet."
        raise ProblemError(retry_later(Code.UNAVAILABLE, detail)) from None
    if isinstance(verdict, Unauthenticated):
        raise ProblemError(unauthenticated(verdict))
    return Asking(identity_digest(context.identity_key, verdict.subject), verdict.token_claims)


def _admitted(context: Context, asking: Asking) -> Asking:
    if not context.rate_limit.admit(asking.identity):
        raise ProblemError(problem_of(Decision(Outcome.RATE_LIMITED)))
    return asking
