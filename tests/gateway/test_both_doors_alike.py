"""The lane and aiohttp, the two doors into the same engine, answer alike: the same bytes get the same answers.

Two gateways, one with the lane and one without, each over a database of its own, are sent the same requests of a visit,
made of good and of bad parts, in the same pieces. What may differ is times and the spread of Retry-After.
"""

import asyncio
import json
import re
from collections import Counter
from contextlib import AsyncExitStack
from email.utils import parsedate_to_datetime
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from claimd.gateway.lane.connection import Lane
from claimd.gateway.lane.request import Kind, RequestParser, Target
from claimd.gateway.lane.shapes import Head
from claimd.gateway.readings import round_readings
from claimd.http import aiohttp_door, bodies
from claimd.http.aiohttp_door import AiohttpDoor
from claimd.identity.passes import PASS_CHARACTERS
from tests.http import serving
from tests.http.raw import Answer, Raw, connected
from tests.http.serving import Served, open_round, pass_for
from tests.identity.identity_provider import raw_token, token
from tests.servers import Server

# How long to wait for a server that may hang up by itself, before asking it whether it is still there.
QUIET_SECONDS = 0.3
# Of the headers; a Date must be there and be one.
COMPARED = (
    *("content-type", "content-length", "cache-control", "connection", "allow", "www-authenticate", "etag", "vary"),
    *("content-language", "access-control-allow-origin", "access-control-expose-headers", "access-control-max-age"),
    *("access-control-allow-methods", "access-control-allow-headers"),
)
SENTINEL = b"GET /healthz HTTP/1.1\r\nHost: end\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: end\r\nConnection: close\r\n\r\n"
TIMES = re.compile(rb"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT|\d{4}-\d\d-\d\dT[\d:.]{12}Z|(?<=\nRetry-After: )\d+")
FAR_FUTURE_MS = 4_000_000_000_000
OPENS_AT_MS = 1_700_000_000_000
# A round that two doors have each in a database of its own: equal in all that they show.
WINDOW = {"opens_at_ms": OPENS_AT_MS, "closes_at_ms": FAR_FUTURE_MS}
APP = "https://app.example"
BEARERS = {
    b"bearer": token("ada", exp=FAR_FUTURE_MS // 1000),
    b"other_bearer": token("bob", exp=FAR_FUTURE_MS // 1000),
    b"old_bearer": token("ada", exp=1),
    b"strange_bearer": raw_token({"alg": "HS256", "kid": "strange"}, b"{}"),
}


def _parts(*parts: bytes) -> st.SearchStrategy[bytes]:
    return st.sampled_from(parts)


METHOD = _parts(b"POST", b"post", b"GET", b"DELETE", b"PUT", b"OPTIONS", b"POSTS", b"", b"\0POST")
PATH = _parts(
    b"/v1/rounds/{round}/claims",
    b"/v1/rounds/{round}/claims/",
    b"/v1/rounds/{round}/claims/me",
    b"/v1/rounds/{round}/claims?",
    b"/v1/rounds/{round}/claims?a=b",
    b"/v1/rounds/{round}/claims#x",
    b"/v1/rounds/{round}/%63laims",
    b"/v1/rounds/%7Bround%7D/claims",
    b"/v1/rounds/{round}%00/claims",
    b"/v1/rounds/{round}%2F/claims",
    b"/v1/rounds/{round}/../{round}/claims",
    b"/v1/rounds/./{round}/claims",
    b"/v1/rounds//claims",
    b"/v1/rounds/UPPER/claims",
    b"/v1/rounds/other/claims",
    b"/v1/rounds/" + b"a" * 65 + b"/claims",
    b"/v1/rounds/\xc3\xa9/claims",
    b"/v1/rounds/a/claims HTTP/1.1\r\nX: /v1/rounds/{round}/claims",
    b"http://host/v1/rounds/{round}/claims",
    b"//v1/rounds/{round}/claims",
    b"/v1/rounds/{round}/passes",
    b"/v1/rounds/{round}/passes/",
    b"/v1/rounds/other/passes",
    b"/v1/rounds/{round}",
    b"/v1/rounds/{round}?a=b",
    b"/v1/rounds/{round}/",
    b"/v1/rounds/other",
    b"/v1/rounds/other/claims/me",
    b"/v1/rounds/UPPER",
    b"/v1/rounds",
    b"/healthz",
    b"*",
)
VERSION = _parts(b"HTTP/1.1", b"HTTP/1.0", b"http/1.1", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/1.10", b"HTTP/1.1 ", b"")
AUTHORIZATION_NAME = _parts(
    b"Authorization",
    b"authorization",
    b"AUTHORIZATION",
    b"Authorization ",
    b" Authorization",
    b"Authorizatio",
    b"Proxy-Authorization",
)
CREDENTIALS = _parts(
    b"Pass {pass0}",
    b"Pass {pass1}",
    b"pass {pass0}",
    b"PASS  {pass0}",
    b"Pass\t{pass0}",
    b"Pass {pass0} \t",
    b"Pass {pass0}=",
    b"Pass {pass0}\xc2\xa0",
    b"Pass {pass0}\x0b",
    b"Pass \xc2\x85{pass0}",
    b"Pass {pass0}\0",
    b"Pass {pass0},",
    b"Pass {pass0} {pass0}",
    b"Pass\r\n {pass0}",
    b"Pass",
    b"Pass ",
    b"Pass " + b"A" * PASS_CHARACTERS,
    b"Pass \xff",
    b"Passe {pass0}",
    b"Bearer {pass0}",
    b"Bearer {bearer}",
    b"bearer {bearer}",
    b"BEARER  {bearer} ",
    b"Bearer {bearer}x",
    b"Bearer {bearer} {bearer}",
    b"Bearer {old_bearer}",
    b"Bearer {strange_bearer}",
    b"Bearer a.b.c",
    b"Bearer \xff",
    b"Bearer ",
    b"Bearer",
    b"Basic YTpi",
    b"",
)
OTHER_HEADERS = st.sampled_from(
    [
        b"Connection: keep-alive",
        b"Connection: Keep-Alive",
        b"Connection: close",
        b"Connection: CLOSE",
        b"Connection: keep-alive, close",
        b"Connection: upgrade",
        b"Connection: x",
        b"Connection:",
        b"Proxy-Connection: close",
        b"Host: again",
        b"Host:",
        b"HOST : x",
        b"Content-Type: application/json",
        b"Content-Type: text/plain",
        b"Content-Type:",
        b"Content-Length: 0",
        b"content-length: 00",
        b"Content-Length: +0",
        b"Content-Length: -1",
        b"Content-Length: 0, 0",
        b"Content-Length: 2",
        b"Content-Length: 5000",
        b"Content-Length: 99999999999999999999",
        b"Content-Length:",
        b"Content-Length: \xd9\xa0",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding:\x0bchunked",
        b"Transfer_Encoding: chunked",
        b"Content-Encoding: gzip",
        b"Content-Encoding: identity",
        b"Expect: 100-continue",
        b"Expect: something",
        b"Upgrade: websocket",
        b"Upgrade: h2c",
        b"TE: trailers",
        b"Trailer: X",
        b"X: 1",
        b"X: \xff\xfe",
        b"X: " + b"a" * 3900,
        b"X: " + b"a" * 9000,
        b"X",
        b": x",
        b"X : y",
        b"X\0: y",
        b"X: a\0b",
        b"X: a\r\n folded",
        b" X: y",
        b"\xc3\xa9: y",
        b"Cookie: a=b",
        b"Authorization: Pass {pass1}",
        b"Authorization: Basic YTpi",
        b"Cookie: a=c",
        b"User-Agent: one",
        b"User-Agent: another",
        b"Server: one\r\nServer: another",
        b"Max-Forwards: 1\r\nmax-forwards: 1",
        b"Sec-WebSocket-Key1: 0",
        b"Origin: https://app.example",
        b"Origin: https://app.example ",
        b"Origin:\thttps://app.example",
        b"Origin: https://elsewhere.example",
        b"origin: null",
        b"Origin:",
        b"Origin: \xff",
        b"Origin: https://app.example\r\nOrigin: https://app.example",
        b"Accept-Language: zh-CN,zh;q=0.9",
        b"accept-language: en, zh;q=0.5",
        b"Accept-Language: \xff",
        b"Accept-Language:",
        b"If-None-Match: {etag}",
        b'if-none-match: "x", {etag} ',
        b"If-None-Match: *",
        b'If-None-Match: "x"',
        b"If-None-Match: \xff",
        b"If-None-Match:",
        b"If-None-Match: {etag}\r\nIf-None-Match: *",
        b"Range: bytes=0-1",
        b"If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT",
        b"Access-Control-Request-Method: POST",
        b"\r\n".join(b"X%d:" % n for n in range(60)),
        b"\r\n".join(b"X%d:" % n for n in range(130)),
    ]
)
BODY = _parts(b"", b"{}", b'{"a":1}', b"{", b"0\r\n\r\n", b"2\r\n{}\r\n0\r\n\r\n", b"x\r\n", b"\r\n", b"\0")


SPACE = _parts(b"  ", b"\t", b"", b"\x0b")
LINE_END = _parts(b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r\n", b"")
MAY_CLOSE = re.compile(rb"(?i)close|upgrade|expect|http/[^1]|http/1[.](?!1\r)")
ODD = ["method", "space", "path", "version", "line end", "name", "credentials", "header", "header", "missing", "body"]


# Method, path, credentials and further headers of each request that the lane answers. HEAD is among `KEPT` alone: where
# an answer ends depends on which request it answers.
KINDS = [
    (b"POST", b"/v1/rounds/{round}/claims", (b"Pass {pass0}", b"Pass {pass1}"), b""),
    (b"POST", b"/v1/rounds/{round}/passes", (b"Bearer {bearer}", b"Bearer {other_bearer}"), b""),
    (b"GET", b"/v1/rounds/{round}/claims/me", (b"Pass {pass0}", b"Pass {pass1}", b"Bearer {bearer}"), b""),
    (b"GET", b"/v1/rounds/{round}", (b"",), b""),
    (b"GET", b"/v1/rounds/{round}", (b"", b"Bearer {bearer}"), b"If-None-Match: {etag}"),
    (
        b"OPTIONS",
        b"/v1/rounds/{round}/claims",
        (b"",),
        b"Origin: https://app.example\r\nAccess-Control-Request-Method: POST",
    ),
]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One request, right in all but at most two of its parts: one that is wrong everywhere proves nothing."""
    odd = draw(st.lists(st.sampled_from(ODD), max_size=2))

    def part(name: str, strategy: st.SearchStrategy[bytes], usual: bytes) -> bytes:
        return draw(strategy) if name in odd else usual

    # Half of them are claims.
    method, path, usual_credentials, further = KINDS[max(0, draw(st.integers(1 - len(KINDS), len(KINDS) - 1)))]
    end = part("line end", LINE_END, b"\r\n")
    line = part("space", SPACE, b" ").join(
        (part("method", METHOD, method), part("path", PATH, path), part("version", VERSION, b"HTTP/1.1"))
    )
    credentials = part("credentials", CREDENTIALS, draw(_parts(*usual_credentials)))
    fields = [b"Host: claimd.example", part("name", AUTHORIZATION_NAME, b"Authorization") + b": " + credentials]
    if "missing" in odd or not credentials:
        fields.pop(draw(st.integers(0, 1)) if credentials else 1)
    if further:
        fields.insert(draw(st.integers(0, len(fields))), further)
    for _ in range(odd.count("header")):
        fields.insert(draw(st.integers(0, len(fields))), draw(OTHER_HEADERS))
    body = part("body", BODY, b"")
    if body and draw(st.booleans()):
        fields += [b"Content-Length: %d" % len(body), draw(_parts(b"Content-Type: application/json", b"Accept: */*"))]
    head = [line, *fields]
    at = draw(st.integers(0, len(head) - 1))
    return b"".join(text + (end if n == at else b"\r\n") for n, text in enumerate(head)) + b"\r\n" + body


@st.composite
def conversations(draw: st.DrawFn) -> tuple[bytes, ...]:
    """One to three requests, one after the other on one connection, cut into pieces anywhere; mostly not at all."""
    raw = draw(st.lists(requests(), min_size=1, max_size=3))
    # What follows a request to close is dropped or refused, as it happens to arrive: by aiohttp alone, too.
    last = next((n for n, one in enumerate(raw, 1) if MAY_CLOSE.search(one)), len(raw))
    raw = raw[:last]
    how = draw(st.integers(0, 3))
    if how < 2:
        return tuple(raw)
    whole = reduce(add, raw)
    cuts = sorted(draw(st.lists(st.integers(1, len(whole) - 1), max_size=3 if how == 3 else 0)))
    return tuple(whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True))


def _plain(headers: bytes = b"", authorization: bytes = b"Pass {pass0}") -> bytes:
    line = b"POST /v1/rounds/{round}/claims HTTP/1.1\r\nHost: x\r\nAuthorization: "
    return line + authorization + b"\r\n" + headers + b"\r\n"


def _get(path: bytes = b"", headers: bytes = b"", method: bytes = b"GET") -> bytes:
    return b"%b /v1/rounds/{round}%b HTTP/1.1\r\nHost: x\r\n%b\r\n" % (method, path, headers)


def _pass(authorization: bytes = b"Bearer {bearer}", headers: bytes = b"") -> bytes:
    return _plain(headers, authorization).replace(b"/claims", b"/passes")


FROM_THE_APP = b"Origin: https://app.example\r\n"
IN_CHINESE = b"Accept-Language: zh-CN\r\n"
PREFLIGHT = b"Access-Control-Request-Method: POST\r\n"


class Doors:
    """The two gateways, and a loop to run them in between the examples."""

    def __init__(self, runner: asyncio.Runner, doors: list[Served]) -> None:
        self.runner = runner
        self.doors = doors
        self.rounds = 0

    def talk(self, pieces: tuple[bytes, ...]) -> list[list[Any]]:
        """What each door answers."""
        return self.runner.run(self._talk(pieces))

    async def _talk(self, pieces: tuple[bytes, ...]) -> list[list[Any]]:
        self.rounds += 1
        round_id = f"r{self.rounds}"
        await self.open(round_id)
        sent = [await self.filled(piece, round_id) for piece in pieces]
        return [await _answers(door, round_id, sent) for door in self.doors]

    async def open(self, round_id: str) -> None:
        """The same round behind both."""
        for door in self.doors:
            await open_round(door.store, round_id, total=2, **WINDOW)

    async def filled(self, piece: bytes, round_id: str) -> bytes:
        """The piece with the values of a round that is open. A name that was cut in two stays as it is, for both."""
        if b"{etag}" in piece:
            async with self.doors[1].http.get(f"/v1/rounds/{round_id}") as answer:
                piece = piece.replace(b"{etag}", answer.headers["ETag"].encode())
        for n, sub in enumerate(("ada", "bob")):
            piece = piece.replace(b"{pass%d}" % n, pass_for(sub, round_id, FAR_FUTURE_MS).encode())
        for name, text in BEARERS.items():
            piece = piece.replace(b"{%b}" % name, text.encode())
        return piece.replace(b"{round}", round_id.encode())

    async def bytes_of(self, request: bytes, *, finish: bool = False) -> list[list[bytes]]:
        """The lines that each door answers a request and its followers with, until it hangs up; without dates.

        With `finish` the client closes its sending side behind it.
        """
        return [await _lines(door, request, finish) for door in self.doors]


async def _answers(door: Served, round_id: str, pieces: list[bytes]) -> list[Any]:
    """All answers of a door until it closes the connection or answers the sentinel; then the state of the round."""
    seen: list[Any] = []
    async with connected(door.port) as raw:
        for piece in pieces:
            await raw.send(piece)
            for _ in range(3):
                await asyncio.sleep(0)
        patience = QUIET_SECONDS if MAY_CLOSE.search(b"".join(pieces)) else 0.0
        while (answer := await _next_answer(raw, patience)) is not None:
            if answer.status == 200 and answer.body == b'{"status":"ok"}':
                seen.append("stays open")
                break
            kept = {name: answer.headers.get(name) for name in COMPARED}
            assert answer.status == 100 or parsedate_to_datetime(answer.headers["date"])
            seen.append((answer.line, kept, "retry-after" in answer.headers, _timeless(answer.body)))
    item = await door.stored_round(round_id)
    held = {identity: claim.serial async for identity, claim in door.store.log_reader.claims(round_id)}
    return [*seen, item.issued, held]


async def _lines(door: Served, request: bytes, finish: bool) -> list[bytes]:
    async with connected(door.port) as raw:
        await raw.send(request if finish else request + LAST)
        if finish:
            raw.finish()
        # Two servers may be a second apart, and write the same headers in another order.
        return sorted(TIMES.sub(b"TIME", await raw.rest()).lower().split(b"\r\n"))


async def _next_answer(raw: Raw, quiet_seconds: float) -> Answer | None:
    if quiet_seconds:
        try:
            async with asyncio.timeout(quiet_seconds):
                return await raw.answer_or_end()
        except TimeoutError:
            pass
    # Twice: where a head was not finished, the first of them finishes it.
    await raw.send(SENTINEL + SENTINEL)
    return await raw.answer_or_end()


def _timeless(body: bytes) -> Any:
    if not body.startswith(b"{"):
        return body
    document = json.loads(body)
    for place in (document, document.get("claim", {})):
        for name in ("claimed_at", "expires_at", "server_time", "opens_at", "closes_at", "pass"):
            place.pop(name, None)
    return document


@pytest.fixture
def doors(valkey: Server, tmp_path: Path, jwks: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A gateway with the lane and one without, each over a database of its own."""
    # For requests that promise more of a body than they bring.
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.1)
    monkeypatch.setattr(aiohttp_door, "_LINGERING_SECONDS", 0.1)
    # What a round shows depends on when it was read last.
    monkeypatch.setattr(round_readings, "FRESH_SECONDS", 0.0)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack = AsyncExitStack()

        async def start() -> list[Served]:
            return [
                await stack.enter_async_context(
                    serving.gateway(f"{valkey.url}?db={n}", jwks=jwks, door=door, cors_origins=(APP,))
                )
                for n, door in enumerate((Lane, AiohttpDoor))
            ]

        yield Doors(runner, runner.run(start()))
        runner.run(stack.aclose())


def test_both_doors_answer_alike(doors: Doors) -> None:
    """Status line, type, code, body, the number of answers, whether the connection stays open, and what was granted."""
    answered: Counter[str] = Counter()
    parse = RequestParser.parse

    def counted(parser: RequestParser, data: bytes) -> tuple[Target, Head] | None:
        request = parse(parser, data)
        if request is not None:
            answered[request[0].kind.name] += 1
        return request

    @settings(
        max_examples=250,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(conversations())
    @example((_plain(), _plain()))
    @example((_plain() + _plain(authorization=b"Pass {pass1}"),))
    @example((_plain(), _plain(authorization=b"Pass " + b"A" * PASS_CHARACTERS), _plain(authorization=b"Pass {pass1}")))
    @example((_plain(b"Content-Length: 0\r\n"), _plain(b"Content-Length: 2\r\n") + b"{}"))
    @example((_plain(b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n",))
    @example((_plain(), _plain(b"Connection: close\r\n")))
    @example((_plain(), _plain(b"Proxy-Connection: close\r\n")))
    @example((_plain(b"User-Agent: one\r\nUser-Agent: another\r\n"), _plain()))
    @example((_plain(b"".join(b"X%d:\r\n" % n for n in range(130))), _plain()))
    @example((_plain(b"Sec-WebSocket-Key1: 0\r\n"), _plain()))
    @example((_plain().replace(b"Host: x\r\n", b""), _plain()))
    @example((_pass(), _get(), _plain(), _get(b"/claims/me", b"Authorization: Pass {pass0}\r\n")))
    @example((_get(headers=b"If-None-Match: {etag}\r\n"), _plain(), _get(headers=b"If-None-Match: {etag}\r\n")))
    @example((_pass(b"Bearer {old_bearer}", FROM_THE_APP), _pass(b"Bearer {strange_bearer}", IN_CHINESE)))
    @example((_get(b"/claims/me", b"Authorization: Bearer {bearer}\r\n"), _plain(FROM_THE_APP + IN_CHINESE)))
    @example((_get(b"/claims", FROM_THE_APP + PREFLIGHT, b"OPTIONS"), _get(b"", PREFLIGHT, b"OPTIONS")))
    @example((_get(b"/nothing", FROM_THE_APP + PREFLIGHT, b"OPTIONS"), _get(b"/nothing")))
    def alike(pieces: tuple[bytes, ...]) -> None:
        by_lane, by_aiohttp = doors.talk(pieces)
        assert by_lane == by_aiohttp
        answered["examples"] += 1
        answered["granted"] += bool(by_lane[-2])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RequestParser, "parse", counted)
        alike()
    # It would prove nothing if the lane had handed over everything, or if no claim had ever been granted.
    assert all(answered[kind.name] >= answered["examples"] / 50 for kind in Kind if kind is not Kind.ROUND_HEAD), (
        answered
    )
    assert answered["granted"] >= answered["examples"] / 10, answered


CUT = {
    "a claim": _plain(),
    "a claim with a body": _plain(b"Content-Type: application/json\r\nContent-Length: 2\r\n") + b"{}",
    "two claims": _plain() + _plain(authorization=b"Pass {pass1}"),
    "a claim to close": _plain(b"Connection: close\r\n"),
    "an old claim": _plain().replace(b"HTTP/1.1", b"HTTP/1.0"),
    "a visit": _get() + _plain(b"Cookie: a\r\n") + _get(b"/claims/me", b"Authorization: Pass {pass0}\r\n"),
}
FIRST = {"a visit": "200 OK"}


@pytest.mark.parametrize("name", CUT)
def test_good_requests_may_be_cut_anywhere(doors: Doors, name: str) -> None:
    """Into two at every byte, and all into single bytes: both doors answer it alike, and as if it was whole."""
    doors.runner.run(doors.open("cut"))
    whole = doors.runner.run(doors.filled(CUT[name], "cut"))
    cuts = [(whole[:at], whole[at:]) for at in range(1, len(whole))]

    async def each(pieces: tuple[bytes, ...]) -> list[Any]:
        by_lane, by_aiohttp = [await _answers(door, "cut", list(pieces)) for door in doors.doors]
        assert by_lane == by_aiohttp, pieces
        return list(by_lane)

    (line, *_), *_ = doors.runner.run(each((whole,)))
    assert line.endswith(FIRST.get(name, "201 Created"))
    expected = doors.runner.run(each((whole,)))
    for pieces in [*cuts, tuple(whole[at : at + 1] for at in range(len(whole)))]:
        assert doors.runner.run(each(pieces)) == expected, pieces


KEPT = {
    "claim": _plain(),
    "claims": _plain() + _plain(authorization=b"Pass {pass1}") + _plain(),
    "bad pass": _plain(authorization=b"Pass " + b"A" * PASS_CHARACTERS),
    "keep-alive": _plain(b"Connection: keep-alive\r\n"),
    "close": _plain(b"Connection: close\r\n"),
    "HTTP/1.0": _plain().replace(b"HTTP/1.1", b"HTTP/1.0"),
    "HTTP/1.0 keep-alive": _plain(b"Connection: keep-alive\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"),
    "HEAD of a claim": _plain().replace(b"POST", b"HEAD"),
    "GET of a claim": _plain().replace(b"POST", b"GET"),
    "HEAD": b"HEAD /v1/rounds/{round}/claims/me HTTP/1.1\r\nHost: x\r\nAuthorization: Pass {pass0}\r\n\r\n",
    "a pass": _pass(headers=FROM_THE_APP),
    "a pass for an old token": _pass(b"Bearer {old_bearer}", IN_CHINESE),
    "a pass for an unknown key": _pass(b"Bearer {strange_bearer}"),
    "a pass without a token": _pass(b"Pass {pass0}"),
    "a round": _get(headers=FROM_THE_APP),
    "a round that is known": _get(headers=b"If-None-Match: {etag}\r\n" + FROM_THE_APP),
    "no round": _get().replace(b"{round}", b"none"),
    "head of a round": _get(method=b"HEAD") + _get(headers=b"If-None-Match: {etag}\r\n", method=b"HEAD"),
    "head of no round": _get(method=b"HEAD").replace(b"{round}", b"none"),
    "a claim and a look": _plain() + _get(b"/claims/me", b"Authorization: Pass {pass0}\r\n" + FROM_THE_APP),
    "a look by token": _get(b"/claims/me", b"Authorization: Bearer {bearer}\r\n" + IN_CHINESE),
    "a look without credentials": _get(b"/claims/me"),
    "a look at no round": _get(b"/claims/me", b"Authorization: Bearer {bearer}\r\n").replace(b"{round}", b"none"),
    "a preflight": _get(b"/claims", FROM_THE_APP + PREFLIGHT, b"OPTIONS"),
    "a preflight from elsewhere": _get(b"", b"Origin: https://elsewhere.example\r\n" + PREFLIGHT, b"OPTIONS"),
    "a preflight for nothing": _get(b"/nothing", FROM_THE_APP + PREFLIGHT, b"OPTIONS"),
    "options": _get(b"/claims", b"", b"OPTIONS"),
    "HEAD between claims": _plain() + b"HEAD /v1/rounds/{round} HTTP/1.1\r\nHost: x\r\n\r\n" + _plain(),
    "length and chunked": _plain(b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
    "chunked and length": _plain(b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n") + b"0\r\n\r\n",
    "bare line feeds": _plain().replace(b"\r\n", b"\n"),
    "a bare line feed": _plain(b"X: y\n"),
    "folded": _plain(b"X: y\r\n z\r\n"),
    "folded credentials": _plain(authorization=b"Pass\r\n {pass0}"),
}
NO_HTTP = ("length and chunked", "chunked and length", "bare line feeds", "a bare line feed", "folded")


@pytest.mark.parametrize("name", KEPT)
def test_both_doors_answer_with_the_same_bytes(doors: Doors, name: str) -> None:
    """Every line of every head, and every body, until the connection is closed. What is no HTTP gets 400, no more."""
    doors.runner.run(doors.open("kept"))
    request = doors.runner.run(doors.filled(KEPT[name], "kept"))
    by_lane, by_aiohttp = doors.runner.run(doors.bytes_of(request))
    assert by_lane == by_aiohttp
    assert b"date: time" in by_lane
    if name in NO_HTTP:
        assert [line[8:] for line in by_lane if line.startswith(b"http/")] == [b" 400 bad request"]


@pytest.mark.parametrize("name", [*KEPT, "half a claim", "half a body"])
def test_both_doors_answer_a_half_closed_client(doors: Doors, name: str) -> None:
    """The same lines as if it went on, and then the end."""
    halves = {"half a claim": _plain()[:-2], "half a body": _plain(b"Content-Length: 9\r\n") + b"{"}
    doors.runner.run(doors.open("kept"))
    request = doors.runner.run(doors.filled(KEPT.get(name) or halves[name], "kept"))
    by_lane, by_aiohttp = doors.runner.run(doors.bytes_of(request, finish=True))
    # Only aiohttp names itself.
    assert by_lane == [line for line in by_aiohttp if not line.startswith(b"server:")] or by_lane == by_aiohttp
    assert (b"date: time" in by_lane) == (name != "half a claim")
