"""Signals that stop any role: SIGTERM, SIGINT, and SIGHUP, which a terminal sends when it closes."""

import asyncio
import signal
import time
from collections.abc import Callable

# A wrapper passes one Ctrl-C on twice at once. A person who presses it again has seen for a second that nothing ended.
_IMPATIENCE_SECONDS = 1.0


class StopRequest:
    """Set by the first signal. A SIGINT a second or more later is impatience: claims in flight are not awaited.

    SIGTERM and SIGHUP come from programs: orchestrators repeat them, and a process group gets them twice. A repeated
    one therefore changes nothing.
    """

    def __init__(
        self, on_impatience: Callable[[], None] = lambda: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_impatience = on_impatience
        self._clock = clock
        self._requested = asyncio.Event()
        self._impatient = asyncio.Event()
        self._requested_at = 0.0
        self.signal_name = ""

    def install(self) -> None:
        """Handle the signals from now on. SIGHUP stays ignored under nohup."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            loop.add_signal_handler(number, self.receive, number)

    async def wait(self) -> None:
        """Return once a stop is requested."""
        await self._requested.wait()

    async def impatience(self) -> None:
        """Return once a later SIGINT asks for a stop that waits for nothing."""
        await self._impatient.wait()

    def receive(self, number: signal.Signals) -> None:
        """Handle one signal; `install` makes the event loop call this."""
        if not self._requested.is_set():
            self._requested_at = self._clock()
            self.signal_name = number.name
            self._requested.set()
        elif number is signal.SIGINT and self._clock() - self._requested_at >= _IMPATIENCE_SECONDS:
            self._impatient.set()
            self._on_impatience()
