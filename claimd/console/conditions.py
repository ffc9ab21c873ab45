"""`ETag` and `If-Match` (RFC 9110, sections 8.8.3 and 13.1.1): the version of a round, and edits bound to it."""

import re

from aiohttp import hdrs, web

from claimd.contract import details
from claimd.contract.problems import Code
from claimd.http.problems import reject

# A weak tag never matches in If-Match, but it is well formed.
_ONE_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_VERSION = re.compile(r'"([1-9][0-9]{0,15})"')
# Rounds count from 1.
_NO_VERSION = 0


def etag(version: int) -> str:
    """The ETag of a version."""
    return f'"{version}"'


def wanted_version(request: web.Request) -> int | None:
    """The version that `If-Match` requires, None for any version, 0 (no round's version) for a foreign tag.

    Raises ProblemError: 400 where the header is not one tag.
    """
    text = request.headers.get(hdrs.IF_MATCH)
    if text is None or text.strip() == "*":
        return None
    if _ONE_TAG.fullmatch(text.strip()) is None:
        raise reject(Code.BAD_REQUEST, details.NO_ONE_TAG())
    found = _VERSION.fullmatch(text.strip())
    return int(found[1]) if found else _NO_VERSION
