"""`claimd gateway` and `claimd console`: one role each, as a container runs it, or as a child of a supervisor."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import typer
import uvloop

from claimd.cli.arguments import options
from claimd.cli.terminal.logs import log_to_stderr
from claimd.cli.terminal.outlet import write_without_waiting
from claimd.cli.terminal.progress import print_progress
from claimd.doctor.findings import report_findings
from claimd.doctor.tokens import check_tokens
from claimd.doctor.variables import check_variables
from claimd.installation_settings import installation_of
from claimd.settings import Settings
from claimd.store.durability import Durability
from claimd.store.installation import Installation
from claimd.supervisor.heartbeat import write_heartbeats
from claimd.supervisor.listeners import listen, url_of
from claimd.supervisor.open_files import few_files_warning, raise_open_files
from claimd.supervisor.role_specs import worker_name


def register(app: typer.Typer) -> None:
    """Register the commands `gateway` and `console` on the app."""
    app.command(
        "gateway",
        epilog="Example: [bold]CLAIMD_SECRET=… claimd gateway --redis-url redis://db --host 0.0.0.0 --workers 4[/]",
    )(_gateway)
    app.command(
        "console",
        epilog="Example: [bold]CLAIMD_ADMIN_TOKEN=… claimd console --redis-url redis://db --console-host 10.0.0.5[/]",
    )(_console)


def _gateway(
    redis_url: options.RequiredRedisUrl = None,
    durability: options.Durability = None,
    host: options.Host = None,
    port: options.Port = None,
    workers: options.Workers = None,
    jwks: options.Jwks = None,
    jwt_issuer: options.JwtIssuer = None,
    jwt_audience: options.JwtAudience = None,
    jwt_identity: options.JwtIdentity = None,
    jwt_leeway: options.JwtLeeway = None,
    secret: options.RequiredSecret = None,
    secret_file: options.SecretFile = None,
    idle_seconds: options.IdleSeconds = None,
    cors_origins: options.CorsOrigins = None,
    listen_fd: options.ListenFd = None,
    ready_fd: options.ReadyFd = None,
    worker: options.Worker = None,
) -> None:
    """Run the public gateway on an external server.

    Needs CLAIMD_REDIS_URL and CLAIMD_SECRET. With more than one worker it watches them, and starts again one that dies.
    """
    # Here, as `--help` and errors of usage take half the time without them.
    from claimd.compose.gateway import run_gateway
    from claimd.up.development_key import refuse_development_jwks
    from claimd.up.gateways import supervise_gateways

    write_without_waiting()
    settings = Settings.read(
        redis_url=redis_url,
        durability=durability,
        host=host,
        port=port,
        workers=workers,
        jwks=jwks,
        jwt_issuer=jwt_issuer,
        jwt_audience=jwt_audience,
        jwt_identity=jwt_identity,
        jwt_leeway=jwt_leeway,
        secret=secret,
        secret_file=secret_file,
        idle_seconds=idle_seconds,
        cors_origins=cors_origins,
    )
    # Before anything listens, and in the process that a person looks at.
    url = settings.require_redis_url()
    installation = installation_of(settings)
    if listen_fd is None:
        asyncio.run(refuse_development_jwks(settings))
        _require_usable_server(url, settings.durability, installation)
        report_findings([*check_variables(), *asyncio.run(check_tokens(settings))], print_progress)
    if listen_fd is None and settings.workers > 1:
        asyncio.run(supervise_gateways(settings, print_progress))
        return
    listener = _listener(listen_fd, settings.host, settings.port, "port")
    name = worker or worker_name(listener.getsockname()[1], 0)
    _serve("gateway", listener, ready_fd, lambda ready: run_gateway(settings, listener, worker=name, on_ready=ready))


def _console(
    redis_url: options.RequiredRedisUrl = None,
    durability: options.Durability = None,
    console_host: options.ConsoleHost = None,
    console_port: options.ConsolePort = None,
    admin_token: options.RequiredAdminToken = None,
    admin_token_file: options.AdminTokenFile = None,
    secret: options.ConsoleSecret = None,
    secret_file: options.SecretFile = None,
    idle_seconds: options.IdleSeconds = None,
    data_dir: options.DataDir = None,
    listen_fd: options.ListenFd = None,
    ready_fd: options.ReadyFd = None,
    embedded: options.Embedded = False,
) -> None:
    """Run the operators' side on an external server: admin API and metrics.

    Needs CLAIMD_REDIS_URL and CLAIMD_ADMIN_TOKEN, and CLAIMD_SECRET to find a person's claim. Keep it off the public
    network.
    """
    # Here for the same reason as in `_gateway`.
    from claimd.compose.console import run_console

    write_without_waiting()
    settings = Settings.read(
        data_dir=data_dir,
        redis_url=redis_url,
        durability=durability,
        console_host=console_host,
        console_port=console_port,
        admin_token=admin_token,
        admin_token_file=admin_token_file,
        secret=secret,
        secret_file=secret_file,
        idle_seconds=idle_seconds,
    )
    url = settings.require_redis_url()
    settings.require_admin_token()
    if listen_fd is None:
        # It needs the secret only to find claims by a person's identifier; a wrong one would find none.
        _require_usable_server(url, settings.durability, installation_of(settings) if settings.secret else None)
        report_findings(check_variables(), print_progress)
    listener = _listener(listen_fd, settings.console_host, settings.console_port, "console-port")
    _serve(
        "console", listener, ready_fd, lambda ready: run_console(settings, listener, embedded=embedded, on_ready=ready)
    )


def _require_usable_server(url: str, durability: Durability, installation: Installation | None) -> None:
    """Print the findings about the server. Raises StartError for one that can never be used, not for one away."""
    # Here, as children of a supervisor never need it: it would lengthen each of their starts.
    from claimd.doctor.examine import examine

    report = asyncio.run(examine(url, durability, installation=installation, compares_secret=installation is not None))
    report.raise_for_blockers(wait=True)
    report_findings(report.findings, print_progress)


def _listener(listen_fd: int | None, host: str, port: int, setting: str) -> socket.socket:
    if listen_fd is None:
        return listen(host, port, setting=setting)[0]
    return socket.socket(fileno=listen_fd)


def _serve(
    role: str,
    listener: socket.socket,
    ready_fd: int | None,
    run: Callable[[Callable[[], None]], Coroutine[Any, Any, None]],
) -> None:
    few_files = few_files_warning(raise_open_files())
    if few_files and ready_fd is None:
        print_progress(few_files)
    log_to_stderr(role)
    address = listener.getsockname()

    def on_ready() -> None:
        if ready_fd is None:
            print_progress(f"{role} ready on {url_of(address[0], address[1])}")
        else:
            write_heartbeats(ready_fd)

    uvloop.run(run(on_ready))
