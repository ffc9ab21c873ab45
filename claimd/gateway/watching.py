"""`GET /v1/rounds/{id}/events`: a stream of events, for as long as its client stays."""

from typing import Final, cast

from aiohttp import HttpVersion11, hdrs, web

from claimd.contract.headers import UNBUFFERED
from claimd.contract.route import EVENT_STREAM
from claimd.gateway.context import CONTEXT
from claimd.gateway.events.listener import Listener
from claimd.gateway.rounds import existing_round
from claimd.http.aiohttp_door import AiohttpConnection

_HEADERS: Final = {hdrs.CONTENT_TYPE: EVENT_STREAM, UNBUFFERED.name: "no"}


async def watch_round(request: web.Request) -> web.StreamResponse:
    """`GET /v1/rounds/{id}/events`: 200 with `round` events; 404, 410, or 503 where too many listen."""
    context = request.app[CONTEXT]
    item, reading = await existing_round(context.readings, request.match_info["round_id"])
    response = web.StreamResponse(headers=_HEADERS)
    # After a stream nothing else is answered on its connection.
    response.force_close()
    if request.method == hdrs.METH_HEAD:
        return response
    with context.live_rounds.admitted():
        await response.prepare(request)
        connection = cast(AiohttpConnection, request.protocol)
        if connection.transport is not None:
            listener = Listener(connection.transport, chunked=request.version >= HttpVersion11)
            connection.begin_stream(listener.lost)
            await context.live_rounds.follow(item, reading, listener)
    return response
