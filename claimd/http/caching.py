"""Which caches may keep an answer: none, unless the answer says otherwise. RFC 9111, section 5.2.2.5.

An answer to one person, kept by a proxy in front, would be given to the next one who asks.
"""

from aiohttp import hdrs, web

NO_STORE = "no-store"


def forbid_caching(response: web.StreamResponse) -> None:
    """Add `Cache-Control: no-store` where the answer does not say anything else."""
    response.headers.setdefault(hdrs.CACHE_CONTROL, NO_STORE)


async def on_prepare(_request: web.Request, response: web.StreamResponse) -> None:
    """For `Application.on_response_prepare`, which also sees streams that a handler has begun by itself."""
    forbid_caching(response)
