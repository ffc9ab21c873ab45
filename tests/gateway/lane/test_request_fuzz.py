"""The lane's reading of a request against aiohttp's parser: what the lane answers, that one must understand alike."""

import asyncio
from typing import Any

import pytest
import uvloop
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser
from hypothesis import example, given
from hypothesis import strategies as st

from claimd.gateway.lane.request import ClaimParser, may_become_claim
from tests.fuzzing import tried
from tests.gateway.test_fuzz import WORDS

PASS = b"Az09_-xx" * 8
HEAD = b"POST /v1/rounds/night/claims HTTP/1.1\r\nHost: x\r\nAuthorization: Pass " + PASS
USUAL = (
    HEAD + b"\r\n\r\n",
    HEAD + b"\r\nContent-Length: 0\r\nConnection: keep-alive\r\nUser-Agent: a\r\n\r\n",
    b"POST /v1/rounds/a/claims HTTP/1.1\r\nAuthorization: pass \t" + PASS + b" \r\nHost: x\r\n\r\n",
)
# Shared by all examples: what was learned from one must not change what is understood of the next.
KNOWING = ClaimParser()


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


def _by_aiohttp(data: bytes, loop: asyncio.AbstractEventLoop) -> tuple[str, str]:
    """Path and credentials of the one message that this is; fails where it is anything else, or has anything more."""
    parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16)
    [(message, payload)], upgraded, tail = parser.feed_data(data)
    assert not upgraded
    assert not tail
    assert (message.method, tuple(message.version)) == ("POST", (1, 1))
    assert not any((message.should_close, message.upgrade, message.chunked, message.compression))
    assert message.headers.get("Content-Length", "0") == "0"
    assert payload.is_eof()
    [host], [authorization] = message.headers.getall("Host"), message.headers.getall("Authorization")
    assert isinstance(host, str)
    scheme, _, value = authorization.partition(" ")
    assert scheme.lower() == "pass"
    return message.path, value.strip(" \t")


@tried(1000)
@given(heads())
@example(USUAL[0])
@example(USUAL[1])
@example(USUAL[2])
@example(HEAD.replace(b"Az", b"\x91z") + b"\r\n\r\n")
@example(HEAD + b"\r\n\r\n" + HEAD + b"\r\n\r\n")
@example(HEAD + b"\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n")
def test_lane_and_aiohttp_parse_a_claim_alike(loop: asyncio.AbstractEventLoop, data: bytes) -> None:
    """One whole message, without a body, to the same round with the same pass, and the connection stays open.

    Also, what a head was understood as does not depend on those before it, and its beginnings are waited for.
    """
    request = KNOWING.parse_claim(data)
    assert request == ClaimParser().parse_claim(data)
    if request is None:
        return
    path, pass_text = _by_aiohttp(data, loop)
    assert path == f"/v1/rounds/{request[0]}/claims"
    # What is not ASCII is no pass, however it is decoded.
    assert pass_text == request[1] or not (pass_text.isascii() or request[1].isascii())
    assert all(may_become_claim(data[:at]) for at in range(len(data)))


@tried(300)
@given(st.binary(max_size=200) | heads())
def test_only_short_text_waits_in_the_lane(data: bytes) -> None:
    """Nothing keeps more than 4 KiB in the lane, and nothing that has come to an end is waited for."""
    if may_become_claim(data):
        assert len(data) <= 4096
        assert b"\r\n\r\n" not in data
        assert not set(data) & (set(range(32)) - {9, 10, 13})
