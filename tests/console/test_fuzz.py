"""Any JSON, and bytes that are none, as an operator's body: accepted, or rejected with a code of the route."""

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import uvloop
from hypothesis import example, given
from hypothesis import strategies as st

from claimd.domain.times import HOUR_MS, to_rfc3339
from tests.fuzzing import tried
from tests.http import serving
from tests.http.answers import checked_problem
from tests.http.raw import Raw, connected
from tests.http.serving import ADMIN_TOKEN, Served, open_round
from tests.rounds import now_ms
from tests.servers import Server

ROUNDS = "/admin/v1/rounds"
ROUTES = (
    ("POST", ROUNDS),
    ("PATCH", f"{ROUNDS}/night"),
    ("POST", f"{ROUNDS}/night/pause"),
    ("POST", f"{ROUNDS}/night/resume"),
)
REFUSALS = {
    (400, "bad_request"),
    (409, "round_exists"),
    (409, "total_below_issued"),
    (413, "too_large"),
    (422, "invalid_round"),
}
GOOD: dict[str, Any] = {
    "id": "other",
    "title": "T",
    "total": 5,
    "opens_at": to_rfc3339(now_ms() - HOUR_MS),
    "closes_at": to_rfc3339(now_ms() + HOUR_MS),
    "pack": {"vouchers": 5},
    "eligibility": {"city": ["hangzhou"]},
    "reason": "why",
}
NAMES = st.sampled_from(sorted(GOOD)) | st.text(max_size=5)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(list(GOOD.values())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def bodies_of_operators(draw: st.DrawFn) -> bytes:
    """Some good fields, some that are not, as JSON; spoilt in some place at times."""
    document = {name: GOOD[name] for name in draw(st.sets(st.sampled_from(sorted(GOOD)), min_size=1))}
    document |= draw(st.dictionaries(NAMES, VALUES, max_size=2))
    text = json.dumps(document, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.binary(max_size=3)) + text[at + draw(st.integers(0, 3)) :]
    return text


class Operated:
    """A console, its loop and a connection, which stays."""

    def __init__(self, runner: asyncio.Runner, console: Served, raw: Raw) -> None:
        self.runner = runner
        self.console = console
        self.raw = raw
        self.statuses: set[int] = set()
        self.rounds = 1

    async def send(self, method: str, path: str, body: bytes) -> None:
        """Send one body, look at the answer, and see that rounds can still be read."""
        fields = f"Host: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n"
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        await self.raw.send(f"{method} {path} HTTP/1.1\r\n{fields}{kind}\r\n".encode() + body)
        answer = await self.raw.answer()
        assert answer is not None
        self.statuses.add(answer.status)
        if answer.status >= 400:
            assert (answer.status, answer.document["code"]) in REFUSALS, answer
            code = answer.document["code"]
            checked_problem(answer.status, answer.headers["content-type"], answer.body, code)
        # Every accepted round must be listable.
        await self.raw.send(f"GET {ROUNDS} HTTP/1.1\r\n{fields}\r\n".encode())
        listed = await self.raw.answer()
        assert listed is not None
        assert listed.status == 200
        assert answer.status == 201 or len(listed.document["rounds"]) == self.rounds
        self.rounds = len(listed.document["rounds"])


@pytest.fixture
def operated(valkey: Server) -> Iterator[Operated]:
    """A console with one round."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack = AsyncExitStack()

        async def start() -> tuple[Served, Raw]:
            console = await stack.enter_async_context(serving.console(valkey.url))
            await open_round(console.store)
            return console, await stack.enter_async_context(connected(console.port))

        yield Operated(runner, *runner.run(start()))
        runner.run(stack.aclose())


def test_any_body_is_accepted_or_rejected(operated: Operated, caplog: pytest.LogCaptureFixture) -> None:
    """Never a 5xx, never a traceback, and every accepted round can be read again."""
    caplog.set_level(logging.INFO)

    @tried(200)
    @given(st.sampled_from(ROUTES), bodies_of_operators() | st.binary(max_size=50))
    @example(ROUTES[0], json.dumps({k: v for k, v in GOOD.items() if k != "reason"}).encode())
    @example(ROUTES[1], json.dumps({"title": "\u202e\x1b[2J\n", "reason": "\0"}).encode())
    @example(ROUTES[2], json.dumps({"reason": "why"}).encode())
    @example(ROUTES[1], json.dumps({"total": 2**31, "reason": "\U0001f600" * 1000}).encode())
    def answered(route: tuple[str, str], body: bytes) -> None:
        operated.runner.run(operated.send(*route, body))

    answered()
    assert {200, 201, 400, 422} <= operated.statuses
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
