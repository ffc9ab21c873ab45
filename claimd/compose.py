"""The composition root: the only place that knows all parts of a role and puts them together from the settings."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import Callable
from functools import partial

from claimd.console import app as console
from claimd.console import context as console_context
from claimd.engine.engine import ClaimEngine
from claimd.engine.rate_limit import RateLimit
from claimd.gateway import app as gateway
from claimd.gateway.context import Context
from claimd.gateway.lane import Lane
from claimd.http.server import serve
from claimd.identity.bearer import BearerTokens, JwksError
from claimd.identity.passes import Passes
from claimd.identity.secrets import Keys
from claimd.metrics.counts import Counts
from claimd.metrics.reporter import Reporter
from claimd.settings import Settings, SettingsError
from claimd.store.errors import StoreUnavailable
from claimd.store.installation import Installation, InstallationDiffers
from claimd.store.redis_store import RedisStore

# Far more than a person taps, far less than a script would.
_REQUESTS_PER_IDENTITY = 10
_RATE_WINDOW_SECONDS = 1.0

# Python's default is 700: a collection for every few dozen claims, which leave hardly any garbage behind.
_YOUNG_OBJECTS = 50_000


async def run_gateway(
    settings: Settings, listener: socket.socket, *, worker: str, on_ready: Callable[[], None]
) -> None:
    """Serve the public API until SIGTERM. `worker` is the name to count under. Raises SettingsError."""
    keys = Keys.derive(settings.require_secret())
    bearer_tokens = _bearer_tokens(settings)
    installation = Installation(keys.fingerprint)
    store = RedisStore.connect(settings.require_redis_url(), settings.durability, installation)
    await _agreed(store)
    counts, clock = Counts(), asyncio.get_running_loop().time
    engine = ClaimEngine(store, counts)
    context = Context(
        store=store,
        engine=engine,
        passes=Passes(keys.pass_key),
        bearer_tokens=bearer_tokens,
        identity_key=keys.identity_key,
        rate_limit=RateLimit(_REQUESTS_PER_IDENTITY, _RATE_WINDOW_SECONDS, clock),
    )
    _settle_memory()
    reporter = Reporter(store, worker, counts, engine.queue_depth)
    reporting = asyncio.create_task(reporter.run())
    try:
        await serve(
            gateway.create_app(context, counts),
            listener,
            on_ready,
            partial(Lane, context, counts, idle_seconds=settings.idle_seconds),
            idle_seconds=settings.idle_seconds,
        )
        await engine.drain()
    finally:
        reporting.cancel()
        with contextlib.suppress(Exception, asyncio.CancelledError):
            await reporting
        with contextlib.suppress(Exception):
            await reporter.report()
        await store.close()


async def _agreed(store: RedisStore) -> None:
    """Refuse a server that has other settings; one that is away is asked again with the first claim."""
    try:
        await store.agree()
    except InstallationDiffers as error:
        await store.close()
        raise SettingsError(str(error)) from None
    except StoreUnavailable:
        pass


async def run_console(settings: Settings, listener: socket.socket, *, on_ready: Callable[[], None]) -> None:
    """Serve the operators' side until SIGTERM. Raises SettingsError."""
    admin_token = settings.require_admin_token()
    store = RedisStore.connect(settings.require_redis_url(), settings.durability)
    try:
        app = console.create_app(console_context.Context(store, admin_token))
        await serve(app, listener, on_ready, idle_seconds=settings.idle_seconds)
    finally:
        await store.close()


def _settle_memory() -> None:
    """What exists by now stays: keep the garbage collector from walking it again and again while claims come in."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 100)


def _bearer_tokens(settings: Settings) -> BearerTokens:
    try:
        return BearerTokens.from_file(settings.jwks, settings.jwt_issuer, settings.jwt_audience)
    except JwksError as error:
        raise SettingsError(f"CLAIMD_JWKS: {error}") from None
