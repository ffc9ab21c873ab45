"""`GET /v1/rounds` and `GET /v1/rounds/{id}`, at the aiohttp door; the lane answers most requests for one round."""

import time
from http import HTTPStatus

from aiohttp import hdrs, web

from claimd.contract.headers import SHORTLY
from claimd.contract.problems import Code
from claimd.domain.rounds import Round, is_round_id
from claimd.gateway.context import CONTEXT
from claimd.gateway.readings.round_readings import RoundReadings
from claimd.gateway.readings.shared_reading import SharedReading
from claimd.gateway.round_lists import RoundLists
from claimd.http.caching import has_current
from claimd.http.paging import PageQuery
from claimd.http.problems import reject
from claimd.store.ports import RoundReader

ROUND_LISTS = web.AppKey("round_lists", RoundLists)


def round_lists(rounds: RoundReader) -> RoundLists:
    """The lists of a process, which `list_rounds` finds in its application."""
    return RoundLists(rounds, time.monotonic)


async def list_rounds(request: web.Request) -> web.Response:
    """`GET /v1/rounds`: 200 with a page of rounds."""
    body = await request.app[ROUND_LISTS].document(PageQuery.parse(request.query))
    return web.Response(body=body, content_type="application/json")


async def show_round(request: web.Request) -> web.Response:
    """`GET /v1/rounds/{id}`: 200 with the round, 304 where the client has it, 404 or 410."""
    item, reading = await existing_round(request.app[CONTEXT].readings, request.match_info["round_id"])
    now_ms = reading.now_ms()
    document = reading.document(item, now_ms)
    headers = {hdrs.CACHE_CONTROL: SHORTLY, hdrs.ETAG: document.etag}
    if has_current(request, document.etag):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(body=document.body(now_ms), content_type="application/json", headers=headers)


async def existing_round(readings: RoundReadings, round_id: str, *, anew: bool = False) -> tuple[Round, SharedReading]:
    """The round, at most 50 ms old or, where `anew`, read after this call; and its reading.

    Raises ProblemError: 404 or 410; StoreUnavailable.
    """
    if not is_round_id(round_id):
        raise reject(Code.ROUND_NOT_FOUND)
    reading = await (readings.read_anew(round_id) if anew else readings.read(round_id))
    if reading.round is None:
        raise reject(Code.ROUND_NOT_FOUND if reading.archived is None else Code.ARCHIVED)
    return reading.round, reading
