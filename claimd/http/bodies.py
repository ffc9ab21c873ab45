"""Reads request bodies: small JSON objects that arrive in time. Anything else ends the request with a problem."""

import asyncio
from typing import Any

from aiohttp import hdrs, web

from claimd.contract import details
from claimd.contract.limits import BODY_SECONDS, MAX_BODY_BYTES
from claimd.contract.problems import Code
from claimd.domain.sentences import WrongValue
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
    except UnicodeDecodeError as error:
        raise reject(Code.BAD_REQUEST, details.BODY_NOT_UTF8(library=error)) from None
    except WrongValue as error:
        raise reject(Code.BAD_REQUEST, details.BODY_NOT_JSON(error=error.sentence)) from None
    if not isinstance(document, dict):
        raise reject(Code.BAD_REQUEST, details.BODY_NO_OBJECT())
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
        raise reject(Code.UNSUPPORTED_MEDIA_TYPE, details.NO_CONTENT_ENCODING())
    body = bytearray()
    try:
        # aiohttp has no timeout of its own for a body that stalls.
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise reject(Code.BAD_REQUEST, details.BODY_TOO_SLOW()) from None
    except web.RequestPayloadError:
        raise reject(Code.BAD_REQUEST, details.BODY_CUT_OFF()) from None
    return bytes(body)


def _too_large(limit: int) -> ProblemError:
    return reject(Code.TOO_LARGE, details.BODY_TOO_LARGE(limit=limit))
