"""`claimd up`: everything on one machine."""

import asyncio
from typing import Annotated

import typer

from claimd.cli.arguments import options
from claimd.cli.terminal.outlet import write_without_waiting
from claimd.cli.terminal.progress import print_progress
from claimd.settings import Settings


def register(app: typer.Typer) -> None:
    """Register the command `up` on the app."""
    app.command("up", epilog="Example: [bold]claimd up --workers 2 --jwks keys.json[/]")(_up)


def _up(
    data_dir: options.DataDir = None,
    redis_url: options.RedisUrl = None,
    durability: options.Durability = None,
    host: options.Host = None,
    port: options.Port = None,
    console_host: options.ConsoleHost = None,
    console_port: options.ConsolePort = None,
    workers: options.Workers = None,
    jwks: options.Jwks = None,
    jwt_issuer: options.JwtIssuer = None,
    jwt_audience: options.JwtAudience = None,
    jwt_identity: options.JwtIdentity = None,
    jwt_leeway: options.JwtLeeway = None,
    secret: options.Secret = None,
    secret_file: options.SecretFile = None,
    admin_token: options.AdminToken = None,
    admin_token_file: options.AdminTokenFile = None,
    idle_seconds: options.IdleSeconds = None,
    cors_origins: options.CorsOrigins = None,
    dev_tokens: Annotated[
        bool | None,
        typer.Option(
            "--dev-tokens/--no-dev-tokens",
            help="Accept the tokens that `claimd dev token` makes; never beside a JWKS.",
            show_default="only on a loopback --host, without --redis-url and --jwks",
        ),
    ] = None,
    accept_lost_claims: Annotated[
        bool,
        typer.Option(
            "--accept-lost-claims",
            help="Start although the embedded server's file was cut, and claims that were acknowledged are gone.",
        ),
    ] = False,
) -> None:
    """Run everything on this machine: an embedded server, the gateways, the console.

    Prints "ready" when claims can be made. Ctrl-C or SIGTERM stops it in order, answering claims in flight first;
    repeated SIGTERMs change nothing, a second Ctrl-C after a second or more does not wait. What was granted is still
    there at the next start.
    """
    # Here, as `--help` and errors of usage take half the time without it.
    from claimd.up.run import up

    write_without_waiting()
    settings = Settings.read(
        data_dir=data_dir,
        redis_url=redis_url,
        durability=durability,
        host=host,
        port=port,
        console_host=console_host,
        console_port=console_port,
        workers=workers,
        jwks=jwks,
        jwt_issuer=jwt_issuer,
        jwt_audience=jwt_audience,
        jwt_identity=jwt_identity,
        jwt_leeway=jwt_leeway,
        secret=secret,
        secret_file=secret_file,
        admin_token=admin_token,
        admin_token_file=admin_token_file,
        idle_seconds=idle_seconds,
        cors_origins=cors_origins,
    )
    asyncio.run(up(settings, print_progress, accept_lost_claims=accept_lost_claims, dev_tokens=dev_tokens))
