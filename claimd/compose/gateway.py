"""A gateway: its parts put together on a store, and its process."""

import asyncio
import socket
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from claimd.compose.running import cancel, run_at_most, running, stop_request
from claimd.contract.limits import IDLE_SECONDS, REQUESTS_PER_WINDOW, WINDOW_SECONDS
from claimd.engine.batcher import BatchLimits
from claimd.engine.engine import ClaimEngine
from claimd.garbage_collection import collect_rarely
from claimd.gateway.app import create_app
from claimd.gateway.context import Context
from claimd.gateway.events.live_rounds import EventLimits, LiveRounds
from claimd.gateway.lane.connection import Lane
from claimd.gateway.rate_limit import RateLimit
from claimd.gateway.readings.round_readings import RoundReadings
from claimd.gateway.refusal_log import RefusalLog
from claimd.http.cors import Cors
from claimd.http.serve import serve
from claimd.identity.bearer import BearerTokens, TokenRules
from claimd.identity.fresh_keys import FreshKeys, KeyFinder
from claimd.identity.jwks_source import jwks_source
from claimd.identity.keys import Keys
from claimd.identity.passes import Passes
from claimd.installation_settings import installation_of
from claimd.metrics.counts import Counts
from claimd.metrics.reporter import Reporter
from claimd.settings import Settings, SettingsError
from claimd.store.errors import StoreUnavailable
from claimd.store.installation import InstallationDiffers
from claimd.store.redis.store import RedisStore

# After the last answer, of the 9 s that a supervisor gives a gateway: claims whose clients are gone, the last counts.
_LAST_CLAIMS_SECONDS = 0.5
_LAST_REPORT_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts of a gateway that its process, or a test, still has to run: `lane` makes the public connections."""

    app: web.Application
    lane: Callable[..., Lane]
    engine: ClaimEngine
    counts: Counts
    reporter: Reporter


def build_gateway(
    store: RedisStore,
    keys: Keys,
    signing_keys: KeyFinder | None,
    token_rules: TokenRules,
    *,
    worker: str,
    idle_seconds: float = IDLE_SECONDS,
    batch_limits: BatchLimits | None = None,
    rate_limit: RateLimit | None = None,
    cors_origins: Collection[str] = (),
    event_limits: EventLimits | None = None,
) -> Gateway:
    """Put a gateway together on a store; call it in the event loop that runs it.

    `worker` is the name under which its counts are saved. `signing_keys` is None where no token is accepted. Pages of
    `cors_origins` may call it from a browser.
    """
    counts, clock = Counts(), asyncio.get_running_loop().time
    engine = ClaimEngine(store.claims, counts, batch_limits)
    readings = RoundReadings(store.rounds)
    context = Context(
        rounds=store.rounds,
        readings=readings,
        live_rounds=LiveRounds(readings, event_limits or EventLimits()),
        readiness=store.readiness,
        engine=engine,
        passes=Passes(keys.pass_key),
        bearer_tokens=BearerTokens(signing_keys, token_rules, keys.identity_key, time.time),
        rate_limit=rate_limit or RateLimit(REQUESTS_PER_WINDOW, WINDOW_SECONDS, clock),
        cors=Cors(cors_origins),
    )
    return Gateway(
        app=create_app(context, counts),
        lane=partial(Lane, context, counts, idle_seconds=idle_seconds),
        engine=engine,
        counts=counts,
        reporter=Reporter(store.counts, worker, counts, engine.queue_depth),
    )


async def run_gateway(
    settings: Settings, listener: socket.socket, *, worker: str, on_ready: Callable[[], None]
) -> None:
    """Serve the public API until SIGTERM. `worker` is the name under which it counts. Raises SettingsError."""
    keys = Keys.derive(settings.require_secret())
    signing_keys = await _signing_keys(settings)
    store = RedisStore.connect(settings.require_redis_url(), settings.durability, installation_of(settings))
    await _compare_installation(store)
    gateway = build_gateway(
        store,
        keys,
        signing_keys,
        _token_rules(settings),
        worker=worker,
        idle_seconds=settings.idle_seconds,
        cors_origins=settings.allowed_origins,
    )
    stop = stop_request()
    collect_rarely()
    reporting = asyncio.create_task(gateway.reporter.run())
    try:
        async with running(RefusalLog(gateway.counts).run(), *([signing_keys.run()] if signing_keys else [])):
            await serve(gateway.app, listener, on_ready, stop, gateway.lane, idle_seconds=settings.idle_seconds)
        await run_at_most(_LAST_CLAIMS_SECONDS, gateway.engine.drain())
    finally:
        await run_at_most(_LAST_REPORT_SECONDS, _report_for_the_last_time(gateway.reporter, reporting))
        await store.close()


async def _compare_installation(store: RedisStore) -> None:
    """Raise SettingsError if the server's claims were made with another secret or identity claim.

    A server that is down is compared at the first call that reaches it.
    """
    try:
        await store.installation.agree()
    except InstallationDiffers as error:
        await store.close()
        raise SettingsError(str(error)) from None
    except StoreUnavailable:
        pass


async def _report_for_the_last_time(reporter: Reporter, reporting: asyncio.Task[None]) -> None:
    await cancel(reporting)
    await reporter.try_to(reporter.close)


async def _signing_keys(settings: Settings) -> FreshKeys | None:
    """The identity provider's keys, read once where that is possible; None without a JWKS.

    A file that cannot be used is no error here: the command has checked it before, and a worker that is restarted in
    the middle of a drop still has passes to serve.
    """
    if settings.jwks is None:
        return None
    keys = FreshKeys(jwks_source(settings.jwks), asyncio.get_running_loop().time)
    await keys.start()
    return keys


def _token_rules(settings: Settings) -> TokenRules:
    """The conditions that the settings impose on a token."""
    return TokenRules(settings.jwt_issuers, settings.jwt_audiences, settings.jwt_identity, settings.jwt_leeway)
