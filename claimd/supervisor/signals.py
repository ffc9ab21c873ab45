"""The wish to stop, as signals say it to any role: SIGTERM, SIGINT, and SIGHUP, which a closed terminal sends."""

import asyncio
import signal
import time
from collections.abc import Callable

# A person who presses Ctrl-C again has seen that nothing has ended yet; a wrapper passes one Ctrl-C on twice at once.
_IMPATIENCE_SECONDS = 1.0


class StopRequest:
    """Set by the first signal. Only a SIGINT a second or more after it says not to wait for what is in flight.

    SIGTERM and SIGHUP come from programs: orchestrators repeat them, and a process group gets them twice. However often
    they come, they are one wish.
    """

    def __init__(
        self, on_impatience: Callable[[], None] = lambda: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_impatience = on_impatience
        self._clock = clock
        self._asked = asyncio.Event()
        self._impatient = asyncio.Event()
        self._asked_at = 0.0
        self.signal_name = ""

    def install(self) -> None:
        """Take over the signals. SIGHUP stays ignored under nohup."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            loop.add_signal_handler(number, self.receive, number)

    async def wait(self) -> None:
        """Return once there is a reason to stop."""
        await self._asked.wait()

    async def impatience(self) -> None:
        """Return once a person does not want to wait any longer."""
        await self._impatient.wait()

    def receive(self, number: signal.Signals) -> None:
        """A signal came."""
        if not self._asked.is_set():
            self._asked_at = self._clock()
            self.signal_name = number.name
            self._asked.set()
        elif number is signal.SIGINT and self._clock() - self._asked_at >= _IMPATIENCE_SECONDS:
            self._impatient.set()
            self._on_impatience()
