"""Chooses the language of a problem by `Accept-Language` (RFC 9110, section 12.5.4).

A range counts by its first part alone: `zh-TW` is answered in simplified characters, which its reader prefers to
English. Where both languages are wanted equally, the one that is named first is chosen; where neither is, English.
"""

import re
from functools import lru_cache

from aiohttp import hdrs, web
from multidict import CIMultiDictProxy

from claimd.domain.sentences import Language

_ENGLISH = b"en"
# Chinese, and two of its languages that have tags of their own and are written alike.
_CHINESE = frozenset((b"zh", b"cmn", b"yue"))
_ANY = b"*"
_MAX_CACHED_BYTES = 200

_RANGE = re.compile(
    rb"(\*|[A-Za-z]{1,8})(?:-[A-Za-z0-9]{1,8})*(?:[ \t]*;[ \t]*[Qq]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?"
)


def preferred_language(accept_language: bytes) -> Language:
    """The language for a value of `Accept-Language`; English where the value is empty or malformed."""
    if not accept_language:
        return Language.ENGLISH
    if len(accept_language) > _MAX_CACHED_BYTES:
        # No browser sends so much; the cache must stay small.
        return _negotiate(accept_language)
    return _negotiate_cached(accept_language)


def request_language(request: web.BaseRequest) -> Language:
    """The language for an aiohttp request."""
    values = header_values(request, hdrs.ACCEPT_LANGUAGE)
    return preferred_language(", ".join(values).encode("utf-8", "surrogateescape")) if values else Language.ENGLISH


def header_values(request: web.BaseRequest, name: str) -> list[str]:
    """The values of each header of that name; none where the head of the request was not understood."""
    headers = request.headers
    # What aiohttp makes up in place of a head that is not HTTP has a plain dictionary.
    return headers.getall(name, []) if isinstance(headers, CIMultiDictProxy) else []


def _negotiate(accept_language: bytes) -> Language:
    english, chinese, others = _Wanted(), _Wanted(), _Wanted()
    for place, text in enumerate(accept_language.split(b",")):
        text = text.strip(b" \t")
        if not text:
            # RFC 9110, section 5.6.1.2: a list may have empty elements.
            continue
        match = _RANGE.fullmatch(text)
        if match is None:
            return Language.ENGLISH
        name, quality = match[1].lower(), float(match[2] or 1)
        if name == _ENGLISH:
            english.want(quality, place)
        elif name in _CHINESE:
            chinese.want(quality, place)
        elif name == _ANY:
            others.want(quality, place)
    # `*` stands for every language that is not named.
    return Language.CHINESE if (chinese.or_else(others)) > (english.or_else(others)) else Language.ENGLISH


class _Wanted:
    """How much a language is wanted: the highest quality of its ranges, and for equal ones the first place."""

    def __init__(self) -> None:
        self.rank: tuple[float, int] | None = None

    def want(self, quality: float, place: int) -> None:
        rank = (quality, -place)
        self.rank = rank if self.rank is None else max(self.rank, rank)

    def or_else(self, others: "_Wanted") -> tuple[float, int]:
        if self.rank is not None and self.rank[0] > 0:
            return self.rank
        if self.rank is None and others.rank is not None:
            return others.rank
        return (0.0, 0)


_negotiate_cached = lru_cache(maxsize=1024)(_negotiate)
