"""Parses the requests that the lane answers: those of a visit, whole and plain. Every other one is left to aiohttp.

The request line is looked up, as there are few of them; the rest of the head is recognised by its shape, which is
learned from heads that httptools has parsed.
"""

import re
from enum import IntEnum
from typing import Final, NamedTuple

import httptools

from claimd.gateway.lane.shapes import AUTHORIZATION, CAPTURED, Head, Learning, Shapes

_HEAD_END: Final = b"\r\n\r\n"
_MAX_HEAD_BYTES: Final = 4096
_ROUND: Final = rb"[a-z0-9][a-z0-9-]{0,63}"
_REQUEST_LINE: Final = re.compile(rb"(POST|GET|HEAD) /v1/rounds/(%b)(/[a-z/]+)? HTTP/1\.1" % _ROUND)
_PREFLIGHT_LINE: Final = re.compile(rb"OPTIONS (/v1/rounds(?:/%b(?:/[a-z/]+)?)?) HTTP/1\.1" % _ROUND)
_STARTS: Final = (b"POST /v1/rounds/", b"GET /v1/rounds/", b"HEAD /v1/rounds/", b"OPTIONS /v1/rounds")
# Whole lines and at most one part of a line, none of them empty or folded, only text: aiohttp may reject anything else
# before the head ends.
_HEAD_SO_FAR: Final = re.compile(rb"(?:[!-~][\t -~\x80-\xff]*\r\n)*(?:[!-~][\t -~\x80-\xff]*)?\r?")
_IS_TEXT: Final = re.compile(rb"[!-~]+").fullmatch
_MOST_TARGETS: Final = 4096

# A request is plain if it has a Host, no header twice (which headers aiohttp accepts twice is left to aiohttp), and no
# header that changes how the request is read, but for these values.
_PLAIN_VALUES: Final = {b"content-length": b"0", b"connection": b"keep-alive"}
_NEVER_PLAIN: Final = frozenset(
    (
        b"content-encoding",
        b"expect",
        b"proxy-connection",
        b"sec-websocket-key1",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_MAX_PLAIN_HEADERS: Final = 64
_HOST: Final = b"host"
_PREFLIGHT_HEADERS: Final = frozenset((b"origin", b"access-control-request-method"))
PASS: Final = b"pass"
BEARER: Final = b"bearer"


class Kind(IntEnum):
    """The requests of a visit; each number is a place in the lane's table of handlers."""

    CLAIM = 0
    PASS = 1
    MY_CLAIM = 2
    ROUND = 3
    ROUND_HEAD = 4
    PREFLIGHT = 5


_KINDS: Final = {
    (b"POST", b"/claims"): Kind.CLAIM,
    (b"POST", b"/passes"): Kind.PASS,
    (b"GET", b"/claims/me"): Kind.MY_CLAIM,
    (b"GET", None): Kind.ROUND,
    (b"HEAD", None): Kind.ROUND_HEAD,
}
# The schemes with which the lane answers a request; where none is named, credentials are not looked at.
_SCHEMES: Final = {Kind.CLAIM: (PASS,), Kind.PASS: (BEARER,), Kind.MY_CLAIM: (PASS, BEARER)}


# How much work a request may be, in claims: a token's signature takes several times as long, by its algorithm.
_WORK: Final = {Kind.PASS: 4, Kind.MY_CLAIM: 2}


class Target(NamedTuple):
    """What a request line asks for. `round_id` is that of the path, empty for a preflight, which has the path alone.

    `work` is how much of an event-loop iteration it takes, in claims.
    """

    kind: Kind
    round_id: str
    path: str
    work: int
    shapes: Shapes


class RequestParser:
    """Parses the requests of all connections of a process."""

    def __init__(self) -> None:
        self._targets: dict[bytes, Target] = {}
        learning = Learning()
        self._shapes = [Shapes(learning) for _ in Kind]

    def parse(self, data: bytes) -> tuple[Target, Head] | None:
        """Request line and head; None unless `data` is one whole, plain request of a kind that the lane answers."""
        line_end = data.find(b"\r\n")
        target = self._targets.get(data[:line_end])
        if target is not None:
            head = target.shapes.recognise(data, line_end)
            if head is not None:
                return target, head
        return self._parse_new(data, data[:line_end])

    def _parse_new(self, data: bytes, line: bytes) -> tuple[Target, Head] | None:
        if len(data) > _MAX_HEAD_BYTES or data.find(_HEAD_END) != len(data) - len(_HEAD_END):
            return None
        target = self._targets.get(line) or self._target(line)
        headers = None if target is None else _Headers.of(data)
        if target is None or headers is None:
            return None
        scheme, text = headers.credentials if target.kind in _SCHEMES else (b"", b"")
        if target.kind in _SCHEMES and (scheme.lower() not in _SCHEMES[target.kind] or not _IS_TEXT(text)):
            return None
        if target.kind is Kind.PREFLIGHT and not headers.by_name.keys() >= _PREFLIGHT_HEADERS:
            return None
        self._keep(line, target)
        target.shapes.consider(headers.lines, scheme)
        values = (headers.by_name.get(name, b"").strip(b" \t") for name in CAPTURED)
        return target, Head(scheme, text, *values)

    def _target(self, line: bytes) -> Target | None:
        match = _REQUEST_LINE.fullmatch(line)
        if match is not None:
            kind, round_id = _KINDS.get((match[1], match[3])), match[2].decode("ascii")
            path = line.split(b" ")[1].decode("ascii")
            return None if kind is None else Target(kind, round_id, path, _WORK.get(kind, 1), self._shapes[kind])
        match = _PREFLIGHT_LINE.fullmatch(line)
        if match is None:
            return None
        return Target(Kind.PREFLIGHT, "", match[1].decode("ascii"), 1, self._shapes[Kind.PREFLIGHT])

    def _keep(self, line: bytes, target: Target) -> None:
        if len(self._targets) >= _MOST_TARGETS:
            self._targets.clear()
        self._targets[line] = target


def may_become_request(data: bytes) -> bool:
    """Whether `data` may be the beginning of a request that the lane answers."""
    return (
        len(data) <= _MAX_HEAD_BYTES
        and any(data[: len(start)] == start[: len(data)] for start in _STARTS)
        and _HEAD_SO_FAR.fullmatch(data) is not None
    )


class _Headers:
    """Collects headers from the parser, and whether the head is plain."""

    def __init__(self) -> None:
        self.lines: list[tuple[bytes, bytes]] = []
        self.by_name: dict[bytes, bytes] = {}
        self._plain = True

    @classmethod
    def of(cls, data: bytes) -> "_Headers | None":
        """The headers of a whole head; None where it is not plain."""
        headers = cls()
        try:
            httptools.HttpRequestParser(headers).feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return None
        is_plain = headers._plain and _HOST in headers.by_name and len(headers.lines) <= _MAX_PLAIN_HEADERS
        return headers if is_plain else None

    @property
    def credentials(self) -> tuple[bytes, bytes]:
        """Scheme and text of the credentials, as they were spelled."""
        scheme, _, text = self.by_name.get(AUTHORIZATION, b"").partition(b" ")
        return scheme, text.strip(b" \t")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser with each header."""
        lower = name.lower()
        wanted = _PLAIN_VALUES.get(lower)
        if lower in self.by_name or lower in _NEVER_PLAIN or (wanted is not None and value.lower() != wanted):
            self._plain = False
        self.lines.append((name, value))
        self.by_name[lower] = value
