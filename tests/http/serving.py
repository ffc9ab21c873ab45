"""The real gateway and the real console on real sockets, inside the test's own loop, over a real server.

They are put together here as `claimd.compose` does it, with limits and doors that a test may choose.
"""

import asyncio
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from claimd.console import app as console_app
from claimd.console.context import Context as ConsoleContext
from claimd.domain.rounds import Definition
from claimd.engine.batcher import BatchLimits
from claimd.engine.engine import ClaimEngine
from claimd.gateway import app as gateway_app
from claimd.gateway.context import Context
from claimd.gateway.lane.connection import Lane
from claimd.gateway.rate_limit import RateLimit
from claimd.http import server as http_server
from claimd.http import timeouts
from claimd.http.admission import Admission
from claimd.http.connections import sweep
from claimd.http.middleware import COUNTS
from claimd.identity.bearer import BearerTokens, TokenRules
from claimd.identity.fresh_keys import FixedKeys, KeyFinder
from claimd.identity.jwks import parse_jwks
from claimd.identity.keys import Keys, identity_digest
from claimd.identity.passes import Passes
from claimd.metrics.counts import Counts
from claimd.metrics.reporter import Reporter
from claimd.store.redis.store import RedisStore

SECRET = b"the secret of these tests, and of them only"
ADMIN_TOKEN = "the admin token of these tests"
KEYS = Keys.derive(SECRET)
ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
HOUR_MS = 3_600_000
# Only a failing test ever waits that long.
PATIENCE_SECONDS = 15.0


def now_ms() -> int:
    """This machine's clock, which is the server's too."""
    return time.time_ns() // 1_000_000


def identity_of(sub: str) -> bytes:
    """The digest under which the server knows a subject."""
    return identity_digest(KEYS.identity_key, sub)


def pass_for(sub: str, round_id: str = "night", expires_at_ms: int | None = None) -> str:
    """A pass as the gateway would issue it."""
    return Passes(KEYS.pass_key).issue_pass(round_id, identity_of(sub), expires_at_ms or now_ms() + HOUR_MS)


def with_pass(sub: str, round_id: str = "night") -> dict[str, str]:
    """Headers of somebody who has a pass."""
    return {"Authorization": f"Pass {pass_for(sub, round_id)}"}


def with_bearer(token: str) -> dict[str, str]:
    """Headers of somebody who has a token."""
    return {"Authorization": f"Bearer {token}"}


def fixed_keys(jwks: Path | None) -> FixedKeys | None:
    """The keys of a file, as they are at this moment; None without a file."""
    return None if jwks is None else FixedKeys(parse_jwks(str(jwks), jwks.read_bytes()).keys)


async def open_round(store: RedisStore, round_id: str = "night", total: int = 100, **fields: Any) -> Definition:
    """A round that has been open for an hour and stays open for one more, unless `fields` say otherwise."""
    window = {"opens_at_ms": now_ms() - HOUR_MS, "closes_at_ms": now_ms() + HOUR_MS}
    definition = Definition(**{"id": round_id, "title": "A night", "total": total, **window, **fields})
    await store.rounds.round_create(definition, reason="for a test")
    return definition


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway or console that listens on `port`, the store behind it and the doors of its connections."""

    port: int
    store: RedisStore
    http: aiohttp.ClientSession
    front: Any
    behind: http_server.AiohttpDoor
    reporter: Reporter | None = None
    counts: Counts = field(default_factory=Counts)
    archive_dir: Path | None = None

    async def sweep(self, now: float) -> None:
        """What happens every second, at a moment of the test's choice."""
        await sweep({self.front, self.behind}, lambda: now)

    async def sweep_until(self, condition: Callable[[], bool], now: float, apart_seconds: float) -> None:
        """Sweep at moments after `now` that lie so far apart, until the condition holds."""
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
    idle_seconds: float = timeouts.IDLE_SECONDS,
    keys: KeyFinder | None = None,
    rules: TokenRules | None = None,
    most_connections: int | None = None,
) -> AsyncIterator[Served]:
    """A gateway over the server at `url`; `door` is Lane or AiohttpDoor. `keys` in place of the file `jwks`."""
    store, counts = RedisStore.connect(url), Counts()
    engine = ClaimEngine(store.claims, counts, limits)
    context = Context(
        claims=store.claims,
        rounds=store.rounds,
        readiness=store.readiness,
        engine=engine,
        passes=Passes(KEYS.pass_key),
        bearer_tokens=BearerTokens(keys or fixed_keys(jwks), rules or TokenRules()),
        identity_key=KEYS.identity_key,
        rate_limit=RateLimit(requests_per_identity, 3600.0, asyncio.get_running_loop().time),
    )
    reporter = Reporter(store.counts, worker, counts, engine.queue_depth)
    front = partial(Lane, context, counts, idle_seconds=idle_seconds) if door is Lane else None
    app = gateway_app.create_app(context, counts)
    async with _serving(app, front, store, reporter, most_connections, idle_seconds) as served:
        yield served


def console_context(store: RedisStore, archive_dir: Path, *, embedded: bool = False) -> ConsoleContext:
    """What a console over this store gives its handlers."""
    return ConsoleContext(
        rounds=store.rounds,
        log_reader=store.log_reader,
        counts=store.counts,
        readiness=store.readiness,
        file_rewriter=store.file_rewriter,
        admin_token=ADMIN_TOKEN,
        archive_dir=archive_dir,
        embedded=embedded,
    )


@asynccontextmanager
async def console(url: str, *, most_connections: int | None = None, embedded: bool = False) -> AsyncIterator[Served]:
    """A console over the server at `url`, with a folder of archives of its own."""
    store = RedisStore.connect(url)
    with tempfile.TemporaryDirectory(prefix="claimd-test-") as folder:
        archive_dir = Path(folder) / "archive"
        app = console_app.create_app(console_context(store, archive_dir, embedded=embedded))
        async with _serving(app, None, store, None, most_connections) as served:
            yield replace(served, archive_dir=archive_dir)


@asynccontextmanager
async def _serving(
    app: web.Application,
    in_front: Any,
    store: RedisStore,
    reporter: Reporter | None,
    most_connections: int | None,
    idle_seconds: float = timeouts.IDLE_SECONDS,
) -> AsyncIterator[Served]:
    # `serve` itself waits for a signal of the whole process, and there are several servers in this one.
    loop = asyncio.get_running_loop()
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    behind = http_server.AiohttpDoor(runner, idle_seconds)
    front = in_front(behind.connection) if in_front else behind
    listener = socket.create_server(("127.0.0.1", 0))
    admission = Admission(front, behind, app[COUNTS], most_connections)
    server = await loop.create_server(admission.connection, sock=listener, backlog=4096)
    port = listener.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    try:
        async with aiohttp.ClientSession(base, timeout=timeout, connector=connector) as session:
            yield Served(port, store, session, front, behind, reporter, app[COUNTS])
    finally:
        server.close()
        await front.stop()
        await runner.cleanup()
        await store.close()
