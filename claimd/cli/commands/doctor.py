"""`claimd doctor`: what a server promises, on demand; the same lines as at a start."""

import asyncio
from typing import Any

import typer

from claimd.cli.arguments import options
from claimd.cli.terminal.printable import printable
from claimd.cli.terminal.show import as_json_text
from claimd.doctor.examine import examine
from claimd.doctor.findings import Level, Report
from claimd.embedded.data_dir import read_secret
from claimd.embedded.process_file import read_process_file
from claimd.errors import CommandError
from claimd.installation_settings import known_installation
from claimd.settings import Settings

_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.BLOCKER: "red"}
_VERDICTS = {
    Level.OK: "claimd keeps every promise on this server",
    Level.WARNING: "claimd runs on this server, but promises less",
    Level.BLOCKER: "claimd cannot run on this server",
}


def register(app: typer.Typer) -> None:
    """Register the command `doctor` on the app."""
    app.command("doctor", epilog="Example: [bold]claimd doctor --redis-url redis://claimd:…@db:6379[/]")(_doctor)


def _doctor(
    redis_url: options.RedisUrl = None,
    durability: options.Durability = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Check what a server promises: version, durability, memory, role, permissions, secret, replicas, clock.

    The secret that it compares is CLAIMD_SECRET, else that of the data directory.

    Without an address it looks at the embedded server of the `claimd up` that runs on the data directory. It may run
    during a drop, and changes nothing; where replicas are to confirm, it writes a mark. Exit code 0: fine, or with
    warnings; 1: claimd would refuse it, or it is away.
    """
    settings = Settings.read(redis_url=redis_url, durability=durability, data_dir=data_dir)
    url = settings.redis_url or _embedded_url(settings)
    installation = known_installation(settings, read_secret(settings.data_dir))
    report = asyncio.run(examine(url, settings.durability, installation=installation))
    if as_json:
        as_json_text(_document(report))
    else:
        _show(report)
    if report.level is Level.BLOCKER:
        raise typer.Exit(1)


def _embedded_url(settings: Settings) -> str:
    url = read_process_file(settings.data_dir).get("valkey", {}).get("url")
    if url is None:
        raise CommandError(
            f"no embedded server runs on {settings.data_dir}: name one with --redis-url or CLAIMD_REDIS_URL, "
            "or the directory of a `claimd up` with --data-dir"
        )
    return str(url)


def _document(report: Report) -> dict[str, Any]:
    checks = [
        {"check": item.check, "level": item.level, "says": item.message, "advice": item.advice or None}
        for item in report.findings
    ]
    return {"server": report.address, "level": report.level, "checks": checks}


def _show(report: Report) -> None:
    for item in report.findings:
        level = typer.style(f"{item.level:<8}", fg=_COLOURS[item.level])
        typer.echo(f"{level} {item.check:<9} {printable(item.sentence)}")
    typer.echo(typer.style(_VERDICTS[report.level], bold=True))
