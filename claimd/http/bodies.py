"""Request bodies: small JSON objects that arrive in time, or a problem.

Parsed by the standard library, not by orjson: that one takes the last of two equal names and rounds large numbers.
"""

import asyncio
import json
import math
from http import HTTPStatus
from typing import Any, NoReturn

import orjson
from aiohttp import hdrs, web

from claimd.http.problems import refused

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
        document = json.loads(
            raw.decode(), object_pairs_hook=_without_duplicates, parse_float=_finite, parse_constant=_no_constant
        )
        # Numbers of more than 64 bits, halves of characters, abysmal nesting: what could not be written again.
        orjson.dumps(document)
    except (ValueError, RecursionError, orjson.JSONEncodeError) as error:
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


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name is there twice in one object")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        # It would be written again as null.
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


async def _read(request: web.Request, limit: int) -> bytes:
    if (request.content_length or 0) > limit:
        raise refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large")
    if hdrs.CONTENT_ENCODING in request.headers:
        raise refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Content-Encoding is not supported.")
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    raise refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large")
    except TimeoutError:
        raise refused(HTTPStatus.BAD_REQUEST, "bad_request", "The body did not arrive in time.") from None
    except web.RequestPayloadError:
        raise refused(HTTPStatus.BAD_REQUEST, "bad_request", "The body is cut off or not well formed.") from None
    return bytes(body)
