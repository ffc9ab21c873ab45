"""A console: its parts put together on a store, and its process."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from claimd.compose.running import cancel, stop_request
from claimd.console.app import create_app
from claimd.console.context import Context
from claimd.embedded.data_dir import ARCHIVE
from claimd.http.serve import serve
from claimd.identity.keys import Keys
from claimd.metrics.merging import Merging
from claimd.settings import Settings
from claimd.store.redis.store import RedisStore


def build_console(
    store: RedisStore, admin_token: str, archive_dir: Path, *, embedded: bool, keys: Keys | None = None
) -> web.Application:
    """Put a console together on a store. `embedded`: the server is the embedded Valkey of a `claimd up`.

    Without the `keys` of the gateways it finds no claim by a person's identifier.
    """
    context = Context(
        rounds=store.rounds,
        claims=store.claims,
        voids=store.voids,
        log_reader=store.log_reader,
        counts=store.counts,
        readiness=store.readiness,
        file_rewriter=store.file_rewriter,
        admin_token=admin_token,
        archive_dir=archive_dir,
        identity_key=None if keys is None else keys.identity_key,
        embedded=embedded,
    )
    return create_app(context)


async def run_console(
    settings: Settings, listener: socket.socket, *, embedded: bool, on_ready: Callable[[], None]
) -> None:
    """Serve the operators' API until SIGTERM. `embedded` is as in `build_console`. Raises SettingsError."""
    admin_token = settings.require_admin_token()
    store = RedisStore.connect(settings.require_redis_url(), settings.durability)
    merging = asyncio.create_task(Merging(store.counts).run())
    try:
        keys = Keys.derive(settings.require_secret()) if settings.secret else None
        archive_dir = settings.data_dir.absolute() / ARCHIVE
        app = build_console(store, admin_token, archive_dir, embedded=embedded, keys=keys)
        await serve(app, listener, on_ready, stop_request(), idle_seconds=settings.idle_seconds)
    finally:
        await cancel(merging)
        await store.close()
