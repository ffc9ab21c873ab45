"""No cache may keep an answer, unless its handler sets another `Cache-Control` (RFC 9111, section 5.2.2.5).

An answer to one person, kept by a proxy, would be given to the next person.
"""

from aiohttp import hdrs, web

NO_STORE = "no-store"


def forbid_caching(response: web.StreamResponse) -> None:
    """Add `Cache-Control: no-store` where the answer has no `Cache-Control`."""
    response.headers.setdefault(hdrs.CACHE_CONTROL, NO_STORE)


async def on_prepare(_request: web.Request, response: web.StreamResponse) -> None:
    """A handler of `Application.on_response_prepare`, which is called for streamed answers, too."""
    forbid_caching(response)
