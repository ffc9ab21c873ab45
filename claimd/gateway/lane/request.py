"""Parses the one request that the claim lane answers: whole, plain, `POST /v1/rounds/{id}/claims` with a pass.

Every other request is left to aiohttp. The requests of one kind of client differ in their pass alone: each such shape
of a head is parsed once, and recognised by comparison from then on.
"""

import re

import httptools

from claimd.domain.rounds import is_round_id
from claimd.identity.passes import PASS_CHARACTERS

_START = b"POST /v1/rounds/"
_REST = b"/claims"
_VERSION = b"/claims HTTP/1.1\r\n"
_HEAD_END = b"\r\n\r\n"
_MAX_HEAD_BYTES = 4096
# Whole lines and at most one part of a line, none of them empty or folded, only text: aiohttp may reject anything else
# before the head ends.
_HEAD_SO_FAR = re.compile(rb"(?:[!-~][\t -~\x80-\xff]*\r\n)*(?:[!-~][\t -~\x80-\xff]*)?\r?")

# Where one request of a client differs from the next. None of these characters has a meaning in HTTP.
_CREDENTIALS = b"\r\nAuthorization: Pass "
_is_pass = re.compile(rb"[A-Za-z0-9_-]{%d}" % PASS_CHARACTERS).fullmatch
_MAX_SHAPES = 256

# A request is plain if it has a Host, no header twice (which headers aiohttp accepts twice is left to aiohttp), and no
# header that changes how the request is read, but for these values.
_PLAIN_VALUES = {b"content-length": b"0", b"connection": b"keep-alive"}
_NEVER_PLAIN = frozenset(
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
_MAX_PLAIN_HEADERS = 64


class ClaimParser:
    """Parses the claims of all connections of a process."""

    def __init__(self) -> None:
        # From each plain head, without its pass, to the round that it names.
        self._shapes: dict[bytes, str] = {}

    def parse_claim(self, data: bytes) -> tuple[str, str] | None:
        """The round's id and the text of the pass; None unless `data` is one whole, plain request to claim."""
        start = data.find(_CREDENTIALS) + len(_CREDENTIALS)
        end = start + PASS_CHARACTERS
        shape = data[:start] + data[end:]
        round_id = self._shapes.get(shape)
        if round_id is not None and _is_pass(data, start, end):
            return round_id, data[start:end].decode("ascii")
        request = _parse(data)
        if request is not None and _is_pass(data, start, end) and data[start:end].decode("ascii") == request[1]:
            if len(self._shapes) >= _MAX_SHAPES:
                self._shapes.clear()
            self._shapes[shape] = request[0]
        return request


def may_become_claim(data: bytes) -> bool:
    """Whether `data` may be the beginning of a request that the lane answers."""
    return (
        len(data) <= _MAX_HEAD_BYTES
        and data[: len(_START)] == _START[: len(data)]
        and _HEAD_SO_FAR.fullmatch(data) is not None
    )


class _Head:
    """Collects from the parser the target, the credentials, and whether the head is plain."""

    def __init__(self) -> None:
        self.url = b""
        self.authorization = b""
        self.plain = True
        self.names: set[bytes] = set()

    def on_url(self, url: bytes) -> None:
        """Called by the parser with the request target."""
        self.url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser with each header."""
        name = name.lower()
        wanted = _PLAIN_VALUES.get(name)
        if name in self.names or name in _NEVER_PLAIN or (wanted is not None and value.lower() != wanted):
            self.plain = False
        elif name == b"authorization":
            self.authorization = value
        self.names.add(name)


def _parse(data: bytes) -> tuple[str, str] | None:
    if (
        not data.startswith(_START)
        or data.find(_HEAD_END) != len(data) - len(_HEAD_END)
        or len(data) > _MAX_HEAD_BYTES
        or data.find(_VERSION, 0, data.find(b"\r\n") + 2) < 0
    ):
        return None
    head = _Head()
    try:
        httptools.HttpRequestParser(head).feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    round_id = head.url[len(_START) - len(b"POST ") : -len(_REST)].decode("ascii", "replace")
    scheme, credentials = head.authorization[:5].lower(), head.authorization[5:]
    is_plain = head.plain and b"host" in head.names and len(head.names) <= _MAX_PLAIN_HEADERS
    if not is_plain or scheme != b"pass " or not is_round_id(round_id):
        return None
    return round_id, credentials.strip(b" \t").decode("latin-1")
