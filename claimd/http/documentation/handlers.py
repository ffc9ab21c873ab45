"""`GET` of the OpenAPI document and of its page: 200, or 304 where the client has the current one."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from http import HTTPStatus

import orjson
from aiohttp import hdrs, web

from claimd.contract.headers import CONTENT_SECURITY_POLICY
from claimd.contract.openapi import Api, openapi
from claimd.contract.route import HTML, JSON, Route
from claimd.contract.routes import PAGE_ROUTE
from claimd.http.caching import has_current

Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class _Encoded:
    """An answer that never changes while the process lives, without the headers of its route."""

    body: bytes
    headers: Mapping[str, str]
    etag: str

    @classmethod
    def of(cls, body: bytes, headers: Mapping[str, str]) -> "_Encoded":
        """The answer with the digest of its body as ETag."""
        return cls(body, headers, f'"{sha256(body).hexdigest()[:16]}"')


def documentation_routes(api: Api) -> list[web.RouteDef]:
    """The routes of the document and of its page, for the application that serves this API."""
    return [
        web.get(api.document.path, _handler(partial(_document, api), api.document)),
        web.get(PAGE_ROUTE.path, _handler(partial(_page, api), PAGE_ROUTE)),
    ]


# Cached, as a process of the tests makes many applications.
@cache
def _document(api: Api) -> _Encoded:
    return _Encoded.of(orjson.dumps(openapi(api)), {hdrs.CONTENT_TYPE: JSON})


@cache
def _page(api: Api) -> _Encoded:
    # Imported with the first page: no start of a worker waits for a library of templates.
    from claimd.http.documentation.page import content_security_policy, page

    text = page(openapi(api), api.document.path)
    headers = {hdrs.CONTENT_TYPE: f"{HTML}; charset=utf-8", CONTENT_SECURITY_POLICY.name: content_security_policy()}
    return _Encoded.of(text.encode(), headers)


def _handler(make: Callable[[], _Encoded], route: Route) -> Handler:
    making: asyncio.Task[_Encoded] | None = None

    async def handler(request: web.Request) -> web.Response:
        nonlocal making
        if making is None:
            # At the first request, as a worker that is restarted in a drop has no time for it; and in a thread, as it
            # takes as long as thousands of claims.
            making = asyncio.create_task(asyncio.to_thread(make))
        encoded = await asyncio.shield(making)
        kept: dict[str, str] = {hdrs.ETAG: encoded.etag, hdrs.CACHE_CONTROL: route.answers[0].cache_control}
        if has_current(request, encoded.etag):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=kept)
        return web.Response(body=encoded.body, headers={**kept, **encoded.headers})

    return handler
