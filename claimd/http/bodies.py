"""Request bodies: small JSON objects that arrive in time, or a problem."""

import asyncio
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web

from claimd.domain.strict_json import parse_json
from claimd.http.problems import ProblemError, refused

MAX_BODY_BYTES = 4096

# aiohttp has no timeout of its own for a body that stalls.
_BODY_TIMEOUT_SECONDS = 5.0


async def read_object(request: web.Request, limit: int = MAX_BODY_BYTES) -> dict[str, Any]:
    """The JSON object that a request carries; an empty one for no body at all."""
    raw = await _read(request, limit)
    if not raw:
        return {}
    if request.content_type != "application/json":
        raise refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
    try:
        document = parse_json(raw.decode())
    except ValueError as error:
        raise refused(HTTPStatus.BAD_REQUEST, "bad_request", f"The body is not usable as JSON: {error}.") from None
    if not isinstance(document, dict):
        raise refused(HTTPStatus.BAD_REQUEST, "bad_request", "The body must be a JSON object.")
    return document


async def refuse_fields(request: web.Request) -> None:
    """For requests without fields: an absent body or `{}` passes, anything else is a problem."""
    if not request.body_exists:
        return
    document = await read_object(request)
    if document:
        name = next(iter(document))
        raise refused(
            HTTPStatus.UNPROCESSABLE_ENTITY, "bad_request", f"There is no field {name!r} in this request.", field=name
        )


async def _read(request: web.Request, limit: int) -> bytes:
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    if hdrs.CONTENT_ENCODING in request.headers:
        raise refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Content-Encoding is not supported.")
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise refused(HTTPStatus.BAD_REQUEST, "bad_request", "The body did not arrive in time.") from None
    except web.RequestPayloadError:
        raise refused(HTTPStatus.BAD_REQUEST, "bad_request", "The body is cut off or not well formed.") from None
    return bytes(body)


def _too_large(limit: int) -> ProblemError:
    return refused(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"A body of this request may have at most {limit:,} bytes."
    )
