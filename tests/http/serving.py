"""The real gateway and the real console on real sockets, in the test's own event loop, on a real server.

`claimd.compose` builds them, with limits and connections that a test may choose.
"""

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from claimd.compose.console import build_console
from claimd.compose.gateway import build_gateway
from claimd.contract.limits import IDLE_SECONDS
from claimd.domain.rounds import Definition, Round
from claimd.domain.times import HOUR_MS
from claimd.engine.batcher import BatchLimits
from claimd.gateway.events.live_rounds import EventLimits
from claimd.gateway.lane.connection import Lane
from claimd.gateway.rate_limit import RateLimit
from claimd.http import aiohttp_door
from claimd.http.admission import Admission
from claimd.http.connections import sweep
from claimd.http.cors import CORS
from claimd.http.middleware import COUNTS
from claimd.identity.bearer import TokenRules
from claimd.identity.fresh_keys import FixedKeys, KeyFinder
from claimd.identity.jwks import parse_jwks
from claimd.identity.keys import Keys, identity_digest
from claimd.identity.passes import Passes
from claimd.metrics.counts import Counts
from claimd.metrics.reporter import Reporter
from claimd.store.redis.store import RedisStore
from tests.contract.conformance import CheckedResponse, ConsoleResponse
from tests.patience import PATIENCE_SECONDS, patient_store
from tests.rounds import now_ms

SECRET = b"the secret of these tests, and of them only"
ADMIN_TOKEN = "the admin token of these tests"
KEYS = Keys.derive(SECRET)
ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


def identity_of(sub: str) -> bytes:
    """The digest under which the server knows a subject."""
    return identity_digest(KEYS.identity_key, sub)


def pass_for(sub: str, round_id: str = "night", expires_at_ms: int | None = None) -> str:
    """A pass as the gateway would issue it."""
    return Passes(KEYS.pass_key).issue_pass(round_id, identity_of(sub), expires_at_ms or now_ms() + HOUR_MS)


def with_pass(sub: str, round_id: str = "night") -> dict[str, str]:
    """Headers of a request with a pass."""
    return {"Authorization": f"Pass {pass_for(sub, round_id)}"}


def with_bearer(token: str) -> dict[str, str]:
    """Headers of a request with a bearer token."""
    return {"Authorization": f"Bearer {token}"}


def fixed_keys(jwks: Path | None) -> FixedKeys | None:
    """The keys that a file has now; None without a file."""
    return None if jwks is None else FixedKeys(parse_jwks(str(jwks), jwks.read_bytes()).keys)


async def open_round(store: RedisStore, round_id: str = "night", total: int = 100, **fields: Any) -> Definition:
    """Create a round that has been open for an hour and stays open for one more; `fields` replace its own."""
    window = {"opens_at_ms": now_ms() - HOUR_MS, "closes_at_ms": now_ms() + HOUR_MS}
    definition = Definition(**{"id": round_id, "title": "A night", "total": total, **window, **fields})
    await store.rounds.round_create(definition, reason="for a test")
    return definition


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway or console that listens on `port`, its store, and the factories of its connections."""

    port: int
    store: RedisStore
    http: aiohttp.ClientSession
    front: Any
    behind: aiohttp_door.AiohttpDoor
    reporter: Reporter | None = None
    counts: Counts = field(default_factory=Counts)
    archive_dir: Path | None = None
    app: web.Application = field(default_factory=web.Application)

    async def stored_round(self, round_id: str = "night") -> Round:
        """A round as the server has it. Raises AssertionError where there is none."""
        found = (await self.store.rounds.round(round_id)).round
        assert found is not None, f"there is no round {round_id}"
        return found

    async def sweep(self, now: float) -> None:
        """Do once, with `now` as the time, what a role does every second."""
        await sweep({self.front, self.behind}, lambda: now)

    async def sweep_until(self, condition: Callable[[], bool], now: float, apart_seconds: float) -> None:
        """Sweep with times after `now` that are so many seconds apart, until the condition holds."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                now += apart_seconds
                await self.sweep(now)


@asynccontextmanager
async def gateway(
    url: str,
    *,
    jwks: Path | None = None,
    door: Any = Lane,
    worker: str = "test-0",
    requests_per_identity: int = 1_000_000,
    limits: BatchLimits | None = None,
    idle_seconds: float = IDLE_SECONDS,
    keys: KeyFinder | None = None,
    rules: TokenRules | None = None,
    most_connections: int | None = None,
    cors_origins: Collection[str] = (),
    event_limits: EventLimits | None = None,
) -> AsyncIterator[Served]:
    """A gateway on the server at `url`. `door` is Lane or AiohttpDoor; `keys` replaces the file `jwks`."""
    store = patient_store(url)
    built = build_gateway(
        store,
        KEYS,
        keys or fixed_keys(jwks),
        rules or TokenRules(),
        worker=worker,
        idle_seconds=idle_seconds,
        batch_limits=limits,
        rate_limit=RateLimit(requests_per_identity, HOUR_MS / 1000, asyncio.get_running_loop().time),
        cors_origins=cors_origins,
        event_limits=event_limits,
    )
    in_front = built.lane if door is Lane else None
    async with _serving(built.app, in_front, store, built.reporter, most_connections, idle_seconds) as served:
        yield served


@asynccontextmanager
async def console(
    url: str, *, most_connections: int | None = None, embedded: bool = False, keys: Keys | None = None
) -> AsyncIterator[Served]:
    """A console on the server at `url`, with an archive directory of its own."""
    store = patient_store(url)
    with tempfile.TemporaryDirectory(prefix="claimd-test-") as folder:
        archive_dir = Path(folder) / "archive"
        app = build_console(store, ADMIN_TOKEN, archive_dir, embedded=embedded, keys=keys)
        async with _serving(app, None, store, None, most_connections, checked=ConsoleResponse) as served:
            yield replace(served, archive_dir=archive_dir)


@asynccontextmanager
async def _serving(
    app: web.Application,
    in_front: Any,
    store: RedisStore,
    reporter: Reporter | None,
    most_connections: int | None,
    idle_seconds: float = IDLE_SECONDS,
    checked: type[CheckedResponse] = CheckedResponse,
) -> AsyncIterator[Served]:
    # Not `claimd.http.serve.serve`: it ends with a signal to the process, and a test has several servers in one.
    loop = asyncio.get_running_loop()
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    behind = aiohttp_door.AiohttpDoor(runner, idle_seconds)
    front = in_front(behind.connection) if in_front else behind
    listener = socket.create_server(("127.0.0.1", 0))
    admission = Admission(front, behind, app[COUNTS], app[CORS], most_connections)
    server = await loop.create_server(admission.connection, sock=listener, backlog=4096)
    port = listener.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    try:
        async with aiohttp.ClientSession(base, timeout=timeout, connector=connector, response_class=checked) as session:
            yield Served(port, store, session, front, behind, reporter, app[COUNTS], app=app)
    finally:
        server.close()
        await front.stop()
        await runner.cleanup()
        await store.close()
