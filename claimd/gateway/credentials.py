"""Authentication: turns `Authorization: Pass …` or `Authorization: Bearer …` into the caller's identity digest."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import hdrs, web

from claimd.contract import details
from claimd.contract.problems import Code
from claimd.domain.outcomes import Decision, Outcome
from claimd.domain.rounds import NO_EPOCH, Round
from claimd.gateway.context import CONTEXT, Context
from claimd.http.decision_answers import problem_of
from claimd.http.problems import ProblemError, retry_later, unauthenticated
from claimd.identity.eligibility import is_eligible
from claimd.identity.fresh_keys import KeysUnavailable
from claimd.identity.unauthenticated import Unauthenticated


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated person. `identity` is the digest of 16 bytes.

    `token_claims` are those of the bearer token; None for a pass, whose eligibility was checked when it was issued.
    `epoch` is the eligibility epoch of a pass.
    """

    identity: bytes
    token_claims: Mapping[str, Any] | None
    epoch: int = NO_EPOCH


async def authenticate(request: web.Request, round_id: str) -> Caller:
    """The caller, by a pass for this round or by a bearer token. Raises ProblemError: 401, 429 or 503."""
    context = request.app[CONTEXT]
    scheme, _, value = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    match scheme.lower():
        case "pass":
            verified = context.passes.verify_pass(round_id, value.strip(" \t"), time.time_ns() // 1_000_000)
            if isinstance(verified, Unauthenticated):
                raise ProblemError(unauthenticated(verified))
            identity, epoch = verified
            return _within_rate_limit(context, Caller(identity, None, epoch))
        case "bearer":
            return _within_rate_limit(context, await _verify_token(context, value.strip(" \t")))
        case _:
            raise ProblemError(unauthenticated(Unauthenticated.NO_CREDENTIALS))


async def authenticate_by_token(request: web.Request) -> Caller:
    """The caller, by a bearer token alone. Raises ProblemError: 401, 429 or 503."""
    context = request.app[CONTEXT]
    scheme, _, value = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "bearer":
        raise ProblemError(unauthenticated(Unauthenticated.NO_CREDENTIALS))
    return _within_rate_limit(context, await _verify_token(context, value.strip(" \t")))


def is_caller_eligible(item: Round, caller: Caller) -> bool:
    """Whether the claims of the caller's token fit the eligibility of the round."""
    return is_eligible(item.definition.eligibility, caller.token_claims or {})


async def _verify_token(context: Context, token: str) -> Caller:
    try:
        verdict = await context.bearer_tokens.verify_token(token)
    except KeysUnavailable:
        raise ProblemError(retry_later(Code.UNAVAILABLE, details.NO_KEYS_YET())) from None
    if isinstance(verdict, Unauthenticated):
        raise ProblemError(unauthenticated(verdict))
    return Caller(verdict.identity, verdict.token_claims)


def _within_rate_limit(context: Context, caller: Caller) -> Caller:
    if not context.rate_limit.admit(caller.identity):
        raise ProblemError(problem_of(Decision(Outcome.RATE_LIMITED)))
    return caller
