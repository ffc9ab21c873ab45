"""Reads request bodies: small JSON objects that arrive in time. Anything else ends the request with a problem."""

import asyncio
from typing import Any

from aiohttp import hdrs, web

from claimd.contract.limits import BODY_SECONDS, MAX_BODY_BYTES
from claimd.contract.problems import Code
from claimd.domain.strict_json import parse_json
from claimd.http.problems import ProblemError, reject, reject_unknown_field


async def read_object(request: web.Request, limit: int = MAX_BODY_BYTES) -> dict[str, Any]:
    """The JSON object in the body, `{}` where there is no body. Raises ProblemError: 400, 413 or 415."""
    raw = await _read(request, limit)
    if not raw:
        return {}
    if request.content_type != "application/json":
        raise reject(Code.UNSUPPORTED_MEDIA_TYPE)
    try:
        document = parse_json(raw.decode())
    except ValueError as error:
        raise reject(Code.BAD_REQUEST, f"The body is not usable as JSON: {error}.") from None
    if not isinstance(document, dict):
        raise reject(Code.BAD_REQUEST, "The body must be a JSON object.")
    return document


async def require_no_fields(request: web.Request) -> None:
    """Check the body of a request that takes no fields: absent or `{}`. Raises ProblemError: 422 for a field."""
    if not request.body_exists:
        return
    document = await read_object(request)
    if document:
        raise reject_unknown_field(next(iter(document)))


async def _read(request: web.Request, limit: int) -> bytes:
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    if hdrs.CONTENT_ENCODING in request.headers:
        raise reject(Code.UNSUPPORTED_MEDIA_TYPE, "Content-Encoding is not supported.")
    body = bytearray()
    try:
        # aiohttp has no timeout of its own for a body that stalls.
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise reject(Code.BAD_REQUEST, "The body did not arrive in time.") from None
    except web.RequestPayloadError:
        raise reject(Code.BAD_REQUEST, "The body is cut off or not well formed.") from None
    return bytes(body)


def _too_large(limit: int) -> ProblemError:
    return reject(Code.TOO_LARGE, f"A body of this request may have at most {limit:,} bytes.")
