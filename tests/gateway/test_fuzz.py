"""Any bytes at both doors: each request ends in an answer of its route or in a closed connection, no connection gets
another's answer, and each grant belongs to a pass that was really sent.
"""

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import example, given
from hypothesis import strategies as st

from claimd.gateway.lane.connection import Lane
from claimd.http import aiohttp_door, bodies
from claimd.http.aiohttp_door import AiohttpDoor
from tests.fuzzing import tried
from tests.http import serving
from tests.http.answers import checked_problem
from tests.http.raw import Answer, Raw, connected
from tests.http.serving import Served, identity_of, open_round, pass_for, with_bearer
from tests.identity.identity_provider import token
from tests.servers import Server

FAR_FUTURE_MS = 4_000_000_000_000
BEARER = with_bearer(token("cid", exp=FAR_FUTURE_MS // 1000))["Authorization"].encode()
# The server is well, and so is claimd: no answer may be 503.
PROBLEMS = {
    (400, "bad_request"),
    (401, "unauthenticated"),
    (404, "not_found"),
    (404, "round_not_found"),
    (404, "not_claimed"),
    (405, "method_not_allowed"),
    (409, "sold_out"),
    (413, "too_large"),
    (415, "unsupported_media_type"),
    (422, "bad_request"),
}
# Whatever went before, one of the two is a request of its own, or ends one.
SENTINEL = b"GET /healthz HTTP/1.1\r\nHost: end\r\n\r\n" * 2

_HOST = b"Host: claimd.example\r\n"
_ADA = b"Authorization: Pass {ada}\r\n"
CLAIM = b"POST /v1/rounds/{round}/claims HTTP/1.1\r\n"
REQUESTS = (
    CLAIM + _HOST + _ADA + b"\r\n",
    CLAIM + _HOST + b"Authorization: Pass {bob}\r\nContent-Length: 0\r\nUser-Agent: app/1\r\n\r\n",
    CLAIM + _HOST + b"Authorization: Pass {elsewhere}\r\n\r\n",
    CLAIM + _HOST + b"Authorization: " + BEARER + b"\r\n\r\n",
    CLAIM + _HOST + _ADA + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    CLAIM + _HOST + _ADA + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    CLAIM + _HOST + _ADA + b"Expect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    b"GET /v1/rounds/{round}/claims/me HTTP/1.1\r\n" + _HOST + _ADA + b"\r\n",
    b"POST /v1/rounds/{round}/passes HTTP/1.1\r\n" + _HOST + b"Authorization: " + BEARER + b"\r\n\r\n",
    b"GET /v1/rounds/{round} HTTP/1.1\r\n" + _HOST + b"\r\n",
    b"GET /v1/rounds HTTP/1.0\r\n\r\n",
)
# What means something to a parser, here or there.
WORDS = (
    *(b"\r\n", b"\n", b"\r", b" ", b"\t", b"\0", b":", b"\r\n\r\n", b"\r\n ", b"%", b"%0d%0a", b"\xff", b"\xc2\xa0"),
    *(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"content-length:+1\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Transfer-Encoding: identity\r\n", b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: websocket\r\n"),
    *(b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", b"Expect: 100-continue\r\n", b"Authorization: Pass {bob}\r\n"),
    *(
        b"Host: other\r\n",
        b"Pass ",
        b"Bearer ",
        b"HTTP/1.0",
        b"HTTP/2.0",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"0\r\n\r\n",
    ),
    *(b"{ada}", b"{bob}", b"{elsewhere}", b"{round}", b"{other}", b"/../", b"//", b"fffffffffffffff1\r\n", b"A" * 64),
    *(b"X: " + b"a" * 4000 + b"\r\n", b"X: " + b"a" * 9000 + b"\r\n", b"X:\r\n" * 130),
    *REQUESTS[:2],
)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, ...]:
    """Requests, one after the other, spoilt here and there, and cut into pieces anywhere."""
    stream = b"".join(draw(st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=4)))
    for _ in range(draw(st.integers(0, 3))):
        stream = _spoilt(draw, stream)
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=3)))
    return tuple(stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True))


def _spoilt(draw: st.DrawFn, stream: bytes) -> bytes:
    at = draw(st.integers(0, len(stream)))
    before, after = stream[:at], stream[at:]
    match draw(st.sampled_from(("flip", "insert", "insert", "leave out", "repeat", "line twice", "line away", "raw"))):
        case "flip":
            return before + bytes([after[0] ^ (1 << draw(st.integers(0, 7)))]) + after[1:] if after else stream
        case "insert":
            return before + draw(st.sampled_from(WORDS)) + after
        case "leave out":
            return before + after[draw(st.integers(1, 20)) :]
        case "repeat":
            return before + after[: draw(st.integers(1, 80))] + after
        case "raw":
            return before + draw(st.binary(max_size=40)) + after
        case how:
            lines = stream.split(b"\r\n")
            number = draw(st.integers(0, len(lines) - 1))
            lines[number : number + 1] = [lines[number]] * (2 if how == "line twice" else 0)
            return b"\r\n".join(lines)


class Fuzzed:
    """A gateway, its loop, and a neighbour who behaves, on a connection that is never closed."""

    def __init__(self, runner: asyncio.Runner, valkey: Server, gateway: Served, neighbour: Raw) -> None:
        self.runner = runner
        self.valkey = valkey
        self.gateway = gateway
        self.neighbour = neighbour
        self.rounds = 0
        self.statuses: set[int] = set()

    async def send(self, pieces: tuple[bytes, ...]) -> None:
        """Send them, and look at every answer and at what has become of the round."""
        self.rounds += 1
        with self.valkey.client() as client:
            # Or the list of all rounds would grow with every example.
            client.flushall()
        round_id = f"r{self.rounds}"
        for name in (round_id, f"{round_id}-other"):
            await open_round(self.gateway.store, name, total=3)
        sent = [_filled(piece, round_id) for piece in pieces]
        told, mine = await asyncio.gather(self._answers(sent), self._neighbour_claims(round_id))
        whole = b"".join(sent)
        for name in (round_id, f"{round_id}-other"):
            held = {identity: claim.serial async for identity, claim in self.gateway.store.log_reader.claims(name)}
            if name == round_id:
                assert held.pop(identity_of("zoe")) == mine
            owed = {identity_of(sub) for sub in ("ada", "bob") if pass_for(sub, name, FAR_FUTURE_MS).encode() in whole}
            owed |= {identity_of("cid")} if BEARER.removeprefix(b"Bearer ") in whole else set()
            assert held.keys() <= owed
            assert {serial for place, serial in told if place == name} <= set(held.values())

    async def _neighbour_claims(self, round_id: str) -> int:
        authorization = f"Pass {pass_for('zoe', round_id, FAR_FUTURE_MS)}"
        head = f"POST /v1/rounds/{round_id}/claims HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n"
        await self.neighbour.send(head.encode())
        answer = await self.neighbour.answer()
        assert answer is not None
        if answer.status == 409:
            # Three were faster; so that it is still seen who holds what, there is one more.
            await self.gateway.store.rounds.round_edit(round_id, {"total": 4}, "one for the neighbour")
            return await self._neighbour_claims(round_id)
        assert answer.status == 201
        assert answer.document["claim"]["round"] == round_id
        return int(answer.document["claim"]["serial"])

    async def _answers(self, pieces: list[bytes]) -> list[tuple[str, int]]:
        """Rounds and serials of the claims in the answers, each of which is checked."""
        claims: list[tuple[str, int]] = []
        async with connected(self.gateway.port) as raw:
            for piece in pieces:
                await raw.send(piece)
                await asyncio.sleep(0)
            while True:
                await raw.send(SENTINEL)
                answer = await raw.answer_or_end()
                if answer is None or answer.body == b'{"status":"ok"}':
                    return claims
                self.statuses.add(answer.status)
                claim = _checked(answer)
                if claim is not None:
                    claims.append((claim["round"], claim["serial"]))


def _checked(answer: Answer) -> dict[str, Any] | None:
    """The claim in an answer, if it has one. Raises AssertionError for an answer that no route has."""
    if answer.status == 100:
        assert answer.body == b""
        return None
    kind = answer.headers["content-type"]
    if answer.status in (200, 201):
        assert kind.startswith("application/json")
        claim: dict[str, Any] | None = answer.document.get("claim")
        return claim
    code = answer.document["code"]
    assert (answer.status, code) in PROBLEMS, answer
    checked_problem(answer.status, kind, answer.body, code)
    return None


def _filled(piece: bytes, round_id: str) -> bytes:
    for sub in ("ada", "bob"):
        piece = piece.replace(b"{%b}" % sub.encode(), pass_for(sub, round_id, FAR_FUTURE_MS).encode())
    piece = piece.replace(b"{elsewhere}", pass_for("ada", f"{round_id}-other", FAR_FUTURE_MS).encode())
    return piece.replace(b"{round}", round_id.encode()).replace(b"{other}", f"{round_id}-other".encode())


@pytest.fixture(params=[Lane, AiohttpDoor])
def fuzzed(
    request: pytest.FixtureRequest, valkey: Server, jwks: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Fuzzed]:
    """By each door."""
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.05)
    monkeypatch.setattr(aiohttp_door, "_LINGERING_SECONDS", 0.05)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack = AsyncExitStack()

        async def start() -> tuple[Served, Raw]:
            gateway = await stack.enter_async_context(serving.gateway(valkey.url, jwks=jwks, door=request.param))
            return gateway, await stack.enter_async_context(connected(gateway.port))

        yield Fuzzed(runner, valkey, *runner.run(start()))
        runner.run(stack.aclose())


def test_any_request_is_answered_or_its_connection_closed(fuzzed: Fuzzed, caplog: pytest.LogCaptureFixture) -> None:
    """Requests that were spoilt, by bytes, lines and words, pipelined and cut; a neighbour is served all the while."""
    caplog.set_level(logging.INFO)

    @tried(150)
    @given(streams())
    @example((REQUESTS[0] + REQUESTS[1] + REQUESTS[2],))
    @example((CLAIM + _HOST + _ADA + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n" + REQUESTS[1],))
    @example((CLAIM + _HOST + _ADA + b"Content-Length: 74\r\n\r\n",))
    @example((CLAIM + _HOST + b"Content-Length: 500\r\nAuthorization: Pass {ada}\r\n\r\n" + REQUESTS[1],))
    @example((REQUESTS[6].replace(b"100-continue", b"\x80 100-continue"),))
    def answered(pieces: tuple[bytes, ...]) -> None:
        fuzzed.runner.run(fuzzed.send(pieces))

    answered()
    # It would prove nothing if everything had been refused for the same reason.
    assert {200, 201, 400, 401} <= fuzzed.statuses
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_any_bytes_are_answered_or_the_connection_closed(fuzzed: Fuzzed, caplog: pytest.LogCaptureFixture) -> None:
    """Any bytes: no claim is granted, and nothing is logged."""
    caplog.set_level(logging.INFO)

    @tried(60)
    @given(st.lists(st.binary(max_size=300), min_size=1, max_size=4).map(tuple))
    @example((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",))
    @example((b"\0" * 70_000,))
    @example((json.dumps({"pass": "{ada}"}).encode(),))
    def answered(pieces: tuple[bytes, ...]) -> None:
        fuzzed.runner.run(fuzzed.send(pieces))

    answered()
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
