"""The lane's reading of a request against aiohttp's parser: what the lane answers, that one must understand alike."""

import asyncio
from typing import Any

import pytest
import uvloop
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser
from hypothesis import example, given
from hypothesis import strategies as st

from claimd.gateway.lane.request import BEARER, PASS, Kind, RequestParser, may_become_request
from claimd.gateway.lane.shapes import Head
from claimd.identity.passes import PASS_CHARACTERS
from tests.fuzzing import tried
from tests.gateway.test_fuzz import WORDS

PASS_TEXT = (b"Az09_-xx" * 9)[:PASS_CHARACTERS]
HEAD = b"POST /v1/rounds/night/claims HTTP/1.1\r\nHost: x\r\nAuthorization: Pass " + PASS_TEXT
USUAL = (
    HEAD + b"\r\n\r\n",
    HEAD + b"\r\nContent-Length: 0\r\nConnection: keep-alive\r\nUser-Agent: a\r\n\r\n",
    b"POST /v1/rounds/a/claims HTTP/1.1\r\nAuthorization: pass \t" + PASS_TEXT + b" \r\nHost: x\r\n\r\n",
    b"POST /v1/rounds/a/passes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a.b-_.c\r\nOrigin: https://a.b\r\n\r\n",
    b"GET /v1/rounds/a/claims/me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer a.b.c\r\nAccept-Language: zh\r\n\r\n",
    b'GET /v1/rounds/a HTTP/1.1\r\nHost: x\r\nIf-None-Match: W/"a"\r\nCookie: a=b\r\n\r\n',
    b"HEAD /v1/rounds/a HTTP/1.1\r\nHost: x\r\n\r\n",
    b"OPTIONS /v1/rounds/a HTTP/1.1\r\nHost: x\r\nOrigin: https://a.b\r\nAccess-Control-Request-Method: GET\r\n\r\n",
)
PATHS = {Kind.CLAIM: "/claims", Kind.PASS: "/passes", Kind.MY_CLAIM: "/claims/me"}
METHODS = {Kind.CLAIM: "POST", Kind.PASS: "POST", Kind.ROUND_HEAD: "HEAD", Kind.PREFLIGHT: "OPTIONS"}
# Shared by all examples: what was learned from one must not change what is understood of the next.
KNOWING = RequestParser()


@pytest.fixture(scope="module")
def loop() -> Any:
    """For aiohttp's parser, which wants one and never runs it."""
    loop = uvloop.new_event_loop()
    yield loop
    loop.close()


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """A head that the lane would answer, spoilt in up to three places."""
    data = draw(st.sampled_from(USUAL))
    for _ in range(draw(st.integers(0, 3))):
        at, away = draw(st.integers(0, len(data))), draw(st.integers(0, 8))
        put = draw(st.sampled_from(WORDS) | st.binary(max_size=6) | st.just(b""))
        data = data[:at] + put + data[at + away :]
    return data


def _parsed(parser: RequestParser, data: bytes) -> tuple[Kind, str, str, Head] | None:
    request = parser.parse(data)
    return None if request is None else (*request[0][:3], request[1])


def _by_aiohttp(data: bytes, loop: asyncio.AbstractEventLoop) -> Any:
    """The one message that this is; fails where it is anything else, or has anything more."""
    parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16)
    [(message, payload)], upgraded, tail = parser.feed_data(data)
    assert not upgraded
    assert not tail
    assert tuple(message.version) == (1, 1)
    assert not any((message.should_close, message.upgrade, message.chunked, message.compression))
    assert message.headers.get("Content-Length", "0") == "0"
    assert payload.is_eof()
    [host] = message.headers.getall("Host")
    assert isinstance(host, str)
    return message


def _only(message: Any, name: str) -> bytes:
    """The value of a header that comes at most once."""
    values = message.headers.getall(name, [])
    assert len(values) <= 1
    return values[0].strip(" \t").encode("utf-8", "surrogateescape") if values else b""


@tried(1500)
@given(heads())
@example(USUAL[0])
@example(USUAL[1])
@example(USUAL[2])
@example(USUAL[3])
@example(USUAL[4])
@example(USUAL[5])
@example(USUAL[7])
@example(HEAD.replace(b"Az", b"\x91z") + b"\r\n\r\n")
@example(HEAD + b"\r\n\r\n" + HEAD + b"\r\n\r\n")
@example(HEAD + b"\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n")
@example(HEAD + b"\r\nOrigin: a\r\nOrigin: b\r\n\r\n")
def test_lane_and_aiohttp_parse_a_request_alike(loop: asyncio.AbstractEventLoop, data: bytes) -> None:
    """One whole message, without a body, for the same path with the same values, and the connection stays open.

    Also, what a head was understood as does not depend on those before it, and its beginnings are waited for.
    """
    request = _parsed(KNOWING, data)
    assert request == _parsed(RequestParser(), data)
    if request is None:
        return
    kind, round_id, path, head = request
    message = _by_aiohttp(data, loop)
    assert message.method == METHODS.get(kind, "GET")
    assert message.path == path
    if kind is not Kind.PREFLIGHT:
        assert path == f"/v1/rounds/{round_id}{PATHS.get(kind, '')}"
    assert [head.origin, head.accept_language, head.if_none_match] == [
        _only(message, name) for name in ("Origin", "Accept-Language", "If-None-Match")
    ]
    if kind in PATHS:
        scheme, _, text = message.headers["Authorization"].partition(" ")
        assert (head.scheme.decode(), head.credentials.decode()) == (scheme, text.strip(" \t"))
        assert head.scheme.lower() in (PASS, BEARER)
        _only(message, "Authorization")
    assert all(may_become_request(data[:at]) for at in range(len(data)))


@tried(300)
@given(st.binary(max_size=200) | heads())
def test_only_short_text_waits_in_the_lane(data: bytes) -> None:
    """Nothing keeps more than 4 KiB in the lane, and nothing that has come to an end is waited for."""
    if may_become_request(data):
        assert len(data) <= 4096
        assert b"\r\n\r\n" not in data
        assert not set(data) & (set(range(32)) - {9, 10, 13})
