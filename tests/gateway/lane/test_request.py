"""What the lane understands: a head whose shape is known is understood as if it was new."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from claimd.gateway.lane import shapes
from claimd.gateway.lane.request import Kind, RequestParser, Target
from claimd.gateway.lane.shapes import MOST_SHAPES, Head
from claimd.identity.passes import PASS_CHARACTERS

LINE = b"POST /v1/rounds/night/claims HTTP/1.1\r\n"
PASS = (b"Az09_-xx" * 9)[:PASS_CHARACTERS]
HEAD = LINE + b"Host: x\r\nAuthorization: Pass "
REST = b"\r\nAccept: */*\r\nOrigin: https://app.example\r\n\r\n"


def _parsed(parser: RequestParser, data: bytes) -> tuple[Kind, str, str, Head] | None:
    """What is asked for and how, without what belongs to the parser itself."""
    request = parser.parse(data)
    if request is None:
        return None
    target, head = request
    return target.kind, target.round_id, target.path, head


def _warm(data: bytes = HEAD + PASS + REST) -> RequestParser:
    """A parser that has learned the shape of this request."""
    parser = RequestParser()
    for _ in range(5):
        assert parser.parse(data) is not None
    assert _is_known(parser, data)
    return parser


def _is_known(parser: RequestParser, data: bytes) -> bool:
    request = parser.parse(data)
    assert request is not None
    target: Target = request[0]
    return target.shapes.recognise(data, data.index(b"\r\n")) is not None


# In place of the pass, of a value that is read, and of one that is not.
_PLACES = [
    HEAD + b"{}" + REST,
    HEAD + PASS + b"\r\nAccept: */*\r\nOrigin: {}\r\n\r\n",
    HEAD + PASS + b"\r\nAccept: {}\r\nOrigin: https://app.example\r\n\r\n",
    LINE + b"Host:{}\r\nAuthorization: Pass " + PASS + REST,
]


@settings(max_examples=500, derandomize=True, deadline=None, database=None)
@given(
    st.sampled_from(_PLACES),
    st.binary(max_size=70) | st.text("Aa0_-= \t\r\n:", max_size=80).map(str.encode) | st.binary(min_size=1, max_size=2),
)
@example(_PLACES[0], b"a\r\nContent-Length: no\r\nX: b")
@example(_PLACES[1], b"a\r\nTransfer-Encoding: chunked\r\nX: b")
@example(_PLACES[2], b"a\r\nExpect: 100-continue\r\nX: b")
@example(_PLACES[2], b"a\r\nAuthorization: Pass b")
@example(_PLACES[3], b"\r\n\r\nPOST / HTTP/1.1\r\n")
@example(_PLACES[2], b"a\n b")
@example(_PLACES[2], b"a\0b")
@example(_PLACES[1], b"\t https://app.example \t")
@example(_PLACES[1], b"")
def test_a_known_head_is_understood_as_a_new_one_whatever_its_values(place: bytes, value: bytes) -> None:
    """No header can be smuggled past the parser in a value of a head whose shape is known."""
    request = place.replace(b"{}", value)
    assert _parsed(_warm(), request) == _parsed(RequestParser(), request)


@pytest.mark.parametrize(
    "smuggled", [b"Content-Length: no", b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Connection: close"]
)
def test_a_header_in_place_of_a_pass_is_left_to_aiohttp(smuggled: bytes) -> None:
    """It may mean something."""
    instead = (b"a\r\n" + smuggled + b"\r\nX: ").ljust(PASS_CHARACTERS, b"b")
    assert _warm().parse(HEAD + instead + REST) is None


@pytest.mark.parametrize(
    "rest",
    [
        b"\r\nConnection: close\r\n\r\n",
        b"\r\nContent-Length: 2\r\n\r\n{}",
        b"\r\nAccept: */*\r\n",
        b"\r\nAccept: */*\r\n\r\nGET /",
        REST + b"GET /",
        REST + b"\0",
        REST[:-1],
        b"\r\nAccept: */*\r\nOrigin: x\r\nHost: y\r\n\r\n",
        b"\r\nOrigin: https://app.example\r\nAccept: */*\r\n\r\n",
        b"x\r\nAccept: */*\r\nOrigin: x\r\n\r\n",
        b"\r\n\r\n",
    ],
)
def test_the_same_beginning_is_not_the_same_head(rest: bytes) -> None:
    """What follows the pass counts as much as what comes before it."""
    request = HEAD + PASS + rest
    assert _parsed(_warm(), request) == _parsed(RequestParser(), request)


@pytest.mark.parametrize("value", [b"1", b"00", b"0, 0", b"0x", b"", b" 0 ", b"\t0"])
def test_what_decides_how_a_request_is_read_is_compared(value: bytes) -> None:
    """A known shape with another `Content-Length` is no known head."""
    known, request = (HEAD + PASS + b"\r\nContent-Length:" + each + b"\r\n\r\n" for each in (b" 0", value))
    assert _parsed(_warm(known), request) == _parsed(RequestParser(), request)


def test_heads_of_one_shape_give_their_own_values() -> None:
    """Round, credentials, origin, languages and tag: each request its own, also where another request has none."""
    parser = RequestParser()
    for turn in range(6):
        for kind, path, scheme in (("POST", "/claims", "Pass"), ("POST", "/passes", "Bearer"), ("GET", "", "")):
            for language in ("", f"zh-{turn}"):
                round_id, credentials = f"r{turn}", f"{turn:068d}"
                lines = [f"{kind} /v1/rounds/{round_id}{path} HTTP/1.1", "Host: x", f"X-Request-Id: {turn}"]
                lines += [f"Accept-Language: {language}"] * bool(language)
                lines += [f"authorization: {scheme} {credentials}"] * bool(scheme)
                lines += [f"origin: https://{turn}.example", f'If-None-Match: W/"{turn}"', "", ""]
                request = parser.parse("\r\n".join(lines).encode())
                assert request is not None
                assert request[0].round_id == round_id
                assert request[1] == (
                    scheme.encode(),
                    credentials.encode() if scheme else b"",
                    f"https://{turn}.example".encode(),
                    language.encode(),
                    f'W/"{turn}"'.encode(),
                )


def _with_names(number: int) -> bytes:
    return HEAD + PASS + b"\r\nX-%d: a\r\n\r\n" % number


def test_a_shape_is_learned_when_it_comes_again() -> None:
    """Not at first: a client that sends a new shape each time has nothing compiled."""
    parser = RequestParser()
    for number in range(300):
        assert parser.parse(_with_names(number)) is not None
    assert not any(_is_known(RequestParser(), _with_names(number)) for number in range(3))
    assert not _is_known(parser, _with_names(0))


def test_few_shapes_are_learned_whatever_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that repeats each of its shapes has one compiled in 128 requests, after the first 48."""
    compiled = 0
    compile_shape = shapes._compiled

    def counted(headers: shapes.HeaderLines, scheme: bytes) -> object:
        nonlocal compiled
        compiled += 1
        return compile_shape(headers, scheme)

    monkeypatch.setattr(shapes, "_compiled", counted)
    parser, requests = RequestParser(), 0
    for number in range(2000):
        for _ in range(4):
            requests += 1
            assert parser.parse(_with_names(number)) is not None
    assert 48 < compiled <= 48 + requests / 128 + 1


def test_when_there_are_too_many_shapes_all_are_learned_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that still come are known again soon; what they are understood as does not change."""
    monkeypatch.setattr(shapes, "_REQUESTS_PER_SHAPE", 1)
    parser = RequestParser()
    for number in range(2 * MOST_SHAPES):
        for _ in range(4):
            assert _parsed(parser, _with_names(number)) == _parsed(RequestParser(), _with_names(number))
    known = sum(_is_known_already(parser, _with_names(number)) for number in range(2 * MOST_SHAPES))
    assert 0 < known <= MOST_SHAPES


def _is_known_already(parser: RequestParser, data: bytes) -> bool:
    target = parser._targets[data[: data.index(b"\r\n")]]
    return target.shapes.recognise(data, data.index(b"\r\n")) is not None


def test_many_request_lines_are_bounded() -> None:
    """One client can name any number of rounds; their lines are forgotten, and understood again."""
    parser = RequestParser()
    for number in range(5000):
        request = parser.parse((HEAD + PASS + REST).replace(b"night", b"r%d" % number))
        assert request is not None
        assert request[0].round_id == f"r{number}"
    assert len(parser._targets) <= 4096
