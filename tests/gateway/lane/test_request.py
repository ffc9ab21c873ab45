"""What the lane understands: a head it has seen before is understood as if it had not."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from claimd.gateway.lane.request import ClaimParser

HEAD = b"POST /v1/rounds/night/claims HTTP/1.1\r\nHost: x\r\nAuthorization: Pass "
REST = b"\r\nAccept: */*\r\n\r\n"
PASS = b"Az09_-xx" * 8


def _warm() -> ClaimParser:
    requests = ClaimParser()
    assert requests.parse_claim(HEAD + PASS + REST) == ("night", PASS.decode())
    return requests


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(st.binary(min_size=60, max_size=68) | st.text("Aa0_-= \t\r\n:", min_size=64, max_size=64).map(str.encode))
@example(b"a\r\nContent-Length: no\r\nX: ".ljust(64, b"b"))
@example(b"a\r\nTransfer-Encoding: chunked\r\nX: ".ljust(64, b"b"))
@example(b"a\r\nExpect: 100-continue\r\nX: ".ljust(64, b"b"))
@example(b"a\r\nAuthorization: Pass ".ljust(64, b"b"))
@example(b"\r\n\r\nPOST / HTTP/1.1\r\n".ljust(64, b"b"))
def test_a_known_head_is_parsed_as_a_new_one_whatever_its_pass(instead: bytes) -> None:
    """Nothing can be smuggled past the parser in a head whose other parts are known."""
    request = HEAD + instead + REST
    assert _warm().parse_claim(request) == ClaimParser().parse_claim(request)


@pytest.mark.parametrize(
    "smuggled", [b"Content-Length: no", b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Connection: close"]
)
def test_a_header_in_place_of_a_pass_is_left_to_aiohttp(smuggled: bytes) -> None:
    """It may mean something."""
    instead = (b"a\r\n" + smuggled + b"\r\nX: ").ljust(64, b"b")
    assert _warm().parse_claim(HEAD + instead + REST) is None


@pytest.mark.parametrize(
    "rest",
    [
        b"\r\nConnection: close\r\n\r\n",
        b"\r\nContent-Length: 2\r\n\r\n{}",
        b"\r\nAccept: */*\r\n",
        b"\r\nAccept: */*\r\n\r\nGET /",
        b"x\r\nAccept: */*\r\n\r\n",
        b"\r\n\r\n",
    ],
)
def test_the_same_beginning_is_not_the_same_head(rest: bytes) -> None:
    """What follows the pass counts as much as what comes before it."""
    request = HEAD + PASS + rest
    assert _warm().parse_claim(request) == ClaimParser().parse_claim(request)


def test_known_heads_give_their_own_round_and_pass() -> None:
    """Many heads, in turn: each gives its own round and its own pass."""
    requests, heads = ClaimParser(), [HEAD.replace(b"night", b"r%d" % number) for number in range(300)]
    for turn in range(2):
        for number, head in enumerate(heads):
            pass_text = b"%064d" % (number + turn)
            assert requests.parse_claim(head + pass_text + REST) == (f"r{number}", pass_text.decode())
