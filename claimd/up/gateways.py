"""`claimd gateway --workers N`: several gateways on one port, on an external server, without a console."""

from collections.abc import Callable

from claimd.settings import Settings
from claimd.supervisor.listeners import listen, url_of
from claimd.supervisor.open_files import few_files_warning, raise_open_files
from claimd.supervisor.role_specs import gateway_specs
from claimd.supervisor.supervisor import Supervisor
from claimd.up.sockets import port_of
from claimd.up.until_stopped import STOPPED_AFTER_SECONDS, run_until_stopped


async def supervise_gateways(settings: Settings, print_line: Callable[[str], None]) -> None:
    """Run `settings.workers` gateways on one port until SIGTERM or SIGINT. Raises StartError."""
    few_files = few_files_warning(raise_open_files())
    if few_files:
        print_line(few_files)
    listeners = listen(settings.host, settings.port, workers=settings.workers)
    supervisor = Supervisor(print_line, lambda _name, _pid: None)

    async def start() -> None:
        await supervisor.start(gateway_specs(listeners, settings))
        print_line(f"ready: {settings.workers} gateways on {url_of(settings.host, port_of(listeners))}")

    async def stop() -> None:
        for listener in listeners:
            listener.close()
        await supervisor.stop("gateway-", seconds=STOPPED_AFTER_SECONDS["gateway-"])

    await run_until_stopped(start, stop, supervisor, print_line)
