"""The composition root: the only place that knows all parts of a role and puts them together from the settings."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

from claimd.console import app as console
from claimd.console import context as console_context
from claimd.embedded.data_dir import ARCHIVE
from claimd.engine.engine import ClaimEngine
from claimd.gateway import app as gateway
from claimd.gateway.context import Context
from claimd.gateway.lane.connection import Lane
from claimd.gateway.rate_limit import RateLimit
from claimd.gateway.refusal_log import RefusalLog
from claimd.http.server import serve
from claimd.identity.bearer import BearerTokens, TokenRules
from claimd.identity.fresh_keys import FreshKeys
from claimd.identity.jwks_source import jwks_source
from claimd.identity.keys import Keys
from claimd.identity.passes import Passes
from claimd.installation import installation_of
from claimd.metrics.counts import Counts
from claimd.metrics.merging import Merging
from claimd.metrics.reporter import Reporter
from claimd.settings import Settings, SettingsError
from claimd.store.errors import StoreUnavailable
from claimd.store.installation import InstallationDiffers
from claimd.store.redis.store import RedisStore
from claimd.supervisor.signals import StopRequest

# Far more than a person taps, far less than a script would.
_REQUESTS_PER_IDENTITY = 10
_RATE_WINDOW_SECONDS = 1.0

# Python's default is 700: a collection for every few dozen claims, which leave hardly any garbage behind.
_YOUNG_OBJECTS = 50_000

# After the last answer, of the 9 s that a supervisor gives a gateway: claims whose clients are gone, the last counts.
_LAST_CLAIMS_SECONDS = 0.5
_LAST_REPORT_SECONDS = 1.5


async def run_gateway(
    settings: Settings, listener: socket.socket, *, worker: str, on_ready: Callable[[], None]
) -> None:
    """Serve the public API until SIGTERM. `worker` is the name to count under. Raises SettingsError."""
    keys = Keys.derive(settings.require_secret())
    signing_keys = await _signing_keys(settings)
    store = RedisStore.connect(settings.require_redis_url(), settings.durability, installation_of(settings))
    await _agreed(store)
    counts, clock = Counts(), asyncio.get_running_loop().time
    engine = ClaimEngine(store.claims, counts)
    context = Context(
        claims=store.claims,
        rounds=store.rounds,
        readiness=store.readiness,
        engine=engine,
        passes=Passes(keys.pass_key),
        bearer_tokens=BearerTokens(signing_keys, _token_rules(settings)),
        identity_key=keys.identity_key,
        rate_limit=RateLimit(_REQUESTS_PER_IDENTITY, _RATE_WINDOW_SECONDS, clock),
    )
    stop = _stop_request()
    _settle_memory()
    reporter = Reporter(store.counts, worker, counts, engine.queue_depth)
    reporting = asyncio.create_task(reporter.run())
    try:
        async with _beside(RefusalLog(counts).run(), *([signing_keys.run()] if signing_keys else [])):
            await serve(
                gateway.create_app(context, counts),
                listener,
                on_ready,
                stop,
                partial(Lane, context, counts, idle_seconds=settings.idle_seconds),
                idle_seconds=settings.idle_seconds,
            )
        await _at_most(_LAST_CLAIMS_SECONDS, engine.drain())
    finally:
        await _at_most(_LAST_REPORT_SECONDS, _report_at_last(reporter, reporting))
        await store.close()


async def _agreed(store: RedisStore) -> None:
    """Refuse a server that has other settings; one that is away is asked again with the first claim."""
    try:
        await store.installation.agree()
    except InstallationDiffers as error:
        await store.close()
        raise SettingsError(str(error)) from None
    except StoreUnavailable:
        pass


async def run_console(
    settings: Settings, listener: socket.socket, *, embedded: bool, on_ready: Callable[[], None]
) -> None:
    """Serve the operators' side until SIGTERM. `embedded`: the server is `claimd up`'s own. Raises SettingsError."""
    admin_token = settings.require_admin_token()
    store = RedisStore.connect(settings.require_redis_url(), settings.durability)
    merging = asyncio.create_task(Merging(store.counts).run())
    try:
        archive_dir = settings.data_dir.absolute() / ARCHIVE
        context = console_context.Context(
            rounds=store.rounds,
            log_reader=store.log_reader,
            counts=store.counts,
            readiness=store.readiness,
            file_rewriter=store.file_rewriter,
            admin_token=admin_token,
            archive_dir=archive_dir,
            embedded=embedded,
        )
        app = console.create_app(context)
        await serve(app, listener, on_ready, _stop_request(), idle_seconds=settings.idle_seconds)
    finally:
        await _ended(merging)
        await store.close()


async def _ended(task: asyncio.Task[None]) -> None:
    """Cancel a task that logs its own failures, and wait for its end."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _stop_request() -> StopRequest:
    request = StopRequest()
    request.install()
    return request


async def _report_at_last(reporter: Reporter, reporting: asyncio.Task[None]) -> None:
    await _ended(reporting)
    await reporter.try_to(reporter.close)


async def _at_most(seconds: float, work: Coroutine[Any, Any, None]) -> None:
    """Wait for work, for so long at most. Work that swallows its cancellation is left behind."""
    task = asyncio.create_task(work)
    await asyncio.wait({task}, timeout=seconds)
    task.cancel()


def _settle_memory() -> None:
    """What exists by now stays: keep the garbage collector from walking it again and again while claims come in."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 100)


@contextlib.asynccontextmanager
async def _beside(*jobs: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run jobs that never end, until the block does."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _signing_keys(settings: Settings) -> FreshKeys | None:
    """The identity provider's keys, read once where that is possible; None without a JWKS.

    Also where a file cannot be used: the command has looked at it before, and a worker that is started again in the
    middle of a drop has passes to serve.
    """
    if settings.jwks is None:
        return None
    keys = FreshKeys(jwks_source(settings.jwks), asyncio.get_running_loop().time)
    await keys.start()
    return keys


def _token_rules(settings: Settings) -> TokenRules:
    """What the settings want of a token."""
    return TokenRules(settings.jwt_issuers, settings.jwt_audiences, settings.jwt_identity, settings.jwt_leeway)
