"""Passes, in the lane; `gateway/passes.py` issues them at the aiohttp door."""

from functools import lru_cache, partial
from http import HTTPStatus

from claimd.contract.problems import Code
from claimd.gateway.context import Context
from claimd.gateway.lane.credentials import identify_by_token
from claimd.gateway.lane.exchange import Exchange
from claimd.gateway.lane.rounds import existing_round
from claimd.gateway.passes import new_pass
from claimd.gateway.readings.shared_reading import SharedReading
from claimd.http.problems import Problem
from claimd.http.raw_answers import JSON_TYPE, head
from claimd.identity.eligibility import is_eligible
from claimd.identity.verified import Verified
from claimd.store.errors import StoreUnavailable

_NOT_ELIGIBLE = Problem(Code.NOT_ELIGIBLE)


def issue_pass(context: Context, exchange: Exchange) -> None:
    """Verify the token, and issue a pass by a reading of the round that is at most 50 ms old, or by the next one."""
    verified = identify_by_token(context, exchange)
    if verified is None:
        return
    round_id = exchange.target.round_id
    reading = context.readings.fresh(round_id)
    judge = partial(_judge, context, exchange, verified, False)
    if reading is None:
        context.readings.submit(round_id, judge)
    else:
        judge(reading)


def _judge(
    context: Context, exchange: Exchange, verified: Verified, anew: bool, result: SharedReading | StoreUnavailable
) -> None:
    """Issue or refuse a pass. `anew`: the reading began after the request, so it may refuse for lack of eligibility."""
    item = existing_round(exchange, result)
    if item is None or isinstance(result, StoreUnavailable):
        return
    eligibility = item.definition.eligibility
    # The claims are parsed at each access.
    if not eligibility or is_eligible(eligibility, verified.token_claims):
        body = new_pass(context.passes, item, verified.identity, result.now_ms())
        exchange.answer(_pass_head(len(body)), body)
    elif anew:
        exchange.reject(_NOT_ELIGIBLE)
    else:
        context.readings.submit_anew(item.id, partial(_judge, context, exchange, verified, True))


@lru_cache(maxsize=16)
def _pass_head(length: int) -> bytes:
    return head(HTTPStatus.CREATED, JSON_TYPE, length)
