"""Start something, wait for a signal, stop it; and how much time a stop gives each kind of child."""

import asyncio
from collections.abc import Awaitable, Callable

from claimd.supervisor.signals import StopRequest
from claimd.supervisor.supervisor import Supervisor

# Seconds since the beginning of the stop after which a child is killed, in the order in which they are stopped: all is
# over within 15 s whatever hangs. A gateway needs 8.5 s to answer claims in flight and save its counts.
STOPPED_AFTER_SECONDS = {"gateway-": 9.0, "console": 10.5, "valkey": 13.0}


async def run_until_stopped(
    start: Callable[[], Awaitable[None]],
    stop: Callable[[], Awaitable[None]],
    supervisor: Supervisor,
    print_line: Callable[[str], None],
) -> None:
    """Run `start`, wait for a signal, run `stop`. A signal during `start` cancels it; `stop` runs in any case."""
    request = StopRequest(on_impatience=supervisor.kill_at_once)
    request.install()
    starting = asyncio.ensure_future(start())
    stop_requested = asyncio.create_task(request.wait())
    try:
        await asyncio.wait({starting, stop_requested}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await stop_requested
        print_line(f"{request.signal_name}: stopping, claims in flight are answered first")
    finally:
        starting.cancel()
        stop_requested.cancel()
        await asyncio.gather(starting, stop_requested, return_exceptions=True)
        await stop()
