"""`GET` and `HEAD` of one round, in the lane; `gateway/rounds.py` has them at the aiohttp door."""

from functools import lru_cache, partial
from http import HTTPStatus

from claimd.contract.headers import SHORTLY
from claimd.contract.problems import Code
from claimd.domain.outcomes import Decision, Outcome
from claimd.domain.rounds import Round
from claimd.gateway.context import Context
from claimd.gateway.lane.exchange import Exchange
from claimd.gateway.lane.request import Kind
from claimd.gateway.readings.shared_reading import SharedReading
from claimd.http.caching import matches_etag
from claimd.http.decision_answers import problem_of
from claimd.http.problems import retry_later
from claimd.http.raw_answers import JSON_TYPE, head
from claimd.store.errors import StoreUnavailable

_NOT_FOUND = Decision(Outcome.ROUND_NOT_FOUND)
_ARCHIVED = Decision(Outcome.ARCHIVED)


def show_round(context: Context, exchange: Exchange) -> None:
    """Answer from a reading that is at most 50 ms old, or from the next one."""
    round_id = exchange.target.round_id
    reading = context.readings.fresh(round_id)
    if reading is None:
        context.readings.submit(round_id, partial(_show, exchange))
    else:
        _show(exchange, reading)


def existing_round(exchange: Exchange, result: SharedReading | StoreUnavailable) -> Round | None:
    """The round of a reading; None where the request was rejected: 404, 410 or 503."""
    if isinstance(result, StoreUnavailable):
        exchange.reject(retry_later(Code.UNAVAILABLE))
        return None
    if result.round is None:
        exchange.reject(problem_of(_NOT_FOUND if result.archived is None else _ARCHIVED))
    return result.round


def _show(exchange: Exchange, result: SharedReading | StoreUnavailable) -> None:
    item = existing_round(exchange, result)
    if item is None or isinstance(result, StoreUnavailable):
        return
    now_ms = result.now_ms()
    document = result.document(item, now_ms)
    if_none_match = exchange.head.if_none_match
    if if_none_match and matches_etag(if_none_match.decode("latin-1"), document.etag):
        exchange.answer(_not_modified(document.etag))
        return
    body = document.body(now_ms)
    before_date = _round_head(document.etag, len(body))
    if exchange.target.kind is Kind.ROUND_HEAD:
        exchange.answer(before_date)
    else:
        exchange.answer(before_date, body)


@lru_cache(maxsize=256)
def _round_head(etag: str, length: int) -> bytes:
    return head(HTTPStatus.OK, JSON_TYPE, length, SHORTLY) + f"ETag: {etag}\r\n".encode()


@lru_cache(maxsize=256)
def _not_modified(etag: str) -> bytes:
    return f"HTTP/1.1 304 Not Modified\r\nCache-Control: {SHORTLY}\r\nETag: {etag}\r\n".encode()
