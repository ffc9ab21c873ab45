"""Claims by a pass, and lookups of claims, in the lane; `gateway/claims.py` has them at the aiohttp door."""

from functools import lru_cache, partial

from claimd.domain.outcomes import Decision, Outcome
from claimd.gateway.context import Context
from claimd.gateway.lane.credentials import identify_by_pass, identify_by_token
from claimd.gateway.lane.exchange import Exchange
from claimd.gateway.lane.request import PASS
from claimd.http.decision_answers import GrantTemplate, grant_body, held_claim, problem_of
from claimd.http.raw_answers import JSON_TYPE, head

_OK = 200


def claim(context: Context, exchange: Exchange) -> None:
    """Verify the pass, and submit the claim to the engine."""
    verified = identify_by_pass(context, exchange)
    if verified is not None:
        identity, epoch = verified
        context.engine.submit_claim(exchange.target.round_id, identity, partial(_answer_claim, exchange), epoch)


def find_my_claim(context: Context, exchange: Exchange) -> None:
    """Verify the pass or the token, and submit the lookup to the engine."""
    identity = _identity(context, exchange)
    if identity is not None:
        context.engine.submit_lookup(exchange.target.round_id, identity, partial(_answer_lookup, exchange))


def _identity(context: Context, exchange: Exchange) -> bytes | None:
    if exchange.head.scheme.lower() == PASS:
        verified = identify_by_pass(context, exchange)
        return None if verified is None else verified[0]
    verdict = identify_by_token(context, exchange)
    return None if verdict is None else verdict.identity


def _answer_claim(exchange: Exchange, decision: Decision) -> None:
    if decision.serial:
        serial = b"%d" % decision.serial
        before_date, (prefix, middle, suffix) = _claim_parts(
            exchange.target.round_id, decision.outcome, decision.claimed_at_ms, len(serial)
        )
        exchange.answer(before_date, prefix, serial, middle, serial, suffix)
    else:
        exchange.refuse(problem_of(decision))


def _answer_lookup(exchange: Exchange, decision: Decision) -> None:
    if decision.serial:
        serial = b"%d" % decision.serial
        before_date, (prefix, middle, suffix) = _lookup_parts(
            exchange.target.round_id, decision.claimed_at_ms, len(serial)
        )
        exchange.answer(before_date, prefix, serial, middle, serial, suffix)
    else:
        exchange.reject(problem_of(decision))


# All but the serial is encoded once for a round and moment.
@lru_cache(maxsize=4096)
def _claim_parts(round_id: str, outcome: Outcome, claimed_at_ms: int, digits: int) -> tuple[bytes, GrantTemplate]:
    status, body = grant_body(round_id, outcome, claimed_at_ms)
    return head(status, JSON_TYPE, body.filled_bytes(digits)), body


@lru_cache(maxsize=4096)
def _lookup_parts(round_id: str, claimed_at_ms: int, digits: int) -> tuple[bytes, GrantTemplate]:
    body = held_claim(round_id, claimed_at_ms)
    return head(_OK, JSON_TYPE, body.filled_bytes(digits)), body
