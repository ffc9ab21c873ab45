"""Authentication in the lane; `gateway/credentials.py` has it at the aiohttp door."""

import time

from claimd.domain.outcomes import Decision, Outcome
from claimd.gateway.context import Context
from claimd.gateway.lane.exchange import Exchange
from claimd.http.decision_answers import problem_of
from claimd.http.problems import unauthenticated
from claimd.identity.unauthenticated import Unauthenticated
from claimd.identity.verified import Verified

_RATE_LIMITED = Decision(Outcome.RATE_LIMITED)


def identify_by_pass(context: Context, exchange: Exchange) -> tuple[bytes, int] | None:
    """The digest of the identity, and the epoch of the pass; None where the request was rejected: 401 or 429."""
    pass_text = exchange.head.credentials
    verified = context.passes.verify_pass(exchange.target.round_id, pass_text, time.time_ns() // 1_000_000)
    if isinstance(verified, Unauthenticated):
        exchange.reject(unauthenticated(verified))
        return None
    if not context.rate_limit.admit(verified[0]):
        exchange.reject(problem_of(_RATE_LIMITED))
        return None
    return verified


def identify_by_token(context: Context, exchange: Exchange) -> Verified | None:
    """What a bearer token says; None where the request was rejected, or left to aiohttp as its key may still come."""
    verdict = context.bearer_tokens.verify_now(exchange.head.credentials.decode("ascii"))
    if verdict is None:
        exchange.leave_to_aiohttp()
        return None
    if isinstance(verdict, Unauthenticated):
        exchange.reject(unauthenticated(verdict))
        return None
    if not context.rate_limit.admit(verdict.identity):
        exchange.reject(problem_of(_RATE_LIMITED))
        return None
    return verdict
