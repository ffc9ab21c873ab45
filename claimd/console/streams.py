"""Long answers as NDJSON: a line for each item, streamed in bounded memory.

Where the server is lost half-way the connection is aborted, so that no client takes a part for the whole.
"""

import logging
from collections.abc import AsyncIterator

from aiohttp import hdrs, web

from claimd.store.errors import StoreUnavailable

_log = logging.getLogger(__name__)

_CHUNK_BYTES = 256 * 1024


async def stream_ndjson(request: web.Request, lines: AsyncIterator[bytes]) -> web.StreamResponse:
    """Answer with `lines`: byte strings of one or several lines, each with its line feed."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        # aiohttp writes a body also for HEAD, which a client would take for the beginning of the next answer.
        return response
    chunk = bytearray()
    try:
        async for part in lines:
            chunk += part
            if len(chunk) >= _CHUNK_BYTES:
                await response.write(bytes(chunk))
                chunk.clear()
    except StoreUnavailable as error:
        _log.warning("%s was cut off: %s", request.path, error)
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write(bytes(chunk))
    await response.write_eof()
    return response
