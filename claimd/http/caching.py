"""No cache may keep an answer, unless its handler sets another `Cache-Control` (RFC 9111, section 5.2.2.5).

An answer to one person, kept by a proxy, would be given to the next person.
"""

from aiohttp import hdrs, web

from claimd.contract.headers import NO_STORE


def forbid_caching(response: web.StreamResponse) -> None:
    """Add `Cache-Control: no-store` where the answer has no `Cache-Control`."""
    response.headers.setdefault(hdrs.CACHE_CONTROL, NO_STORE)


def matches_etag(if_none_match: str, etag: str) -> bool:
    """Whether a client has what `etag` names, by its `If-None-Match` (RFC 9110, section 13.1.2).

    Tags are compared weakly: with or without `W/`. A tag of ours contains neither a comma nor a space.
    """
    if not if_none_match:
        return False
    wanted = etag.removeprefix("W/")
    given = (tag.strip(" \t") for tag in if_none_match.split(","))
    return any(tag == "*" or tag.removeprefix("W/") == wanted for tag in given)


def has_current(request: web.Request, etag: str) -> bool:
    """Whether the client has what `etag` names, so that the answer is 304."""
    return matches_etag(",".join(request.headers.getall(hdrs.IF_NONE_MATCH, ())), etag)


async def on_prepare(_request: web.Request, response: web.StreamResponse) -> None:
    """A handler of `Application.on_response_prepare`, which is called for streamed answers, too."""
    forbid_caching(response)
