"""The wish to stop, as signals say it: SIGTERM, SIGINT, and SIGHUP, which a closed terminal sends."""

import asyncio
import signal
from collections.abc import Callable


class StopRequest:
    """Set by the first signal; every further one calls `on_impatience`."""

    def __init__(self, on_impatience: Callable[[], None]) -> None:
        self._on_impatience = on_impatience
        self._asked = asyncio.Event()
        self.signal_name = ""

    def install(self) -> None:
        """Take over the signals. SIGHUP stays ignored under nohup."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            loop.add_signal_handler(number, self._ask, number)

    async def wait(self) -> None:
        """Return once somebody has asked."""
        await self._asked.wait()

    def _ask(self, number: signal.Signals) -> None:
        if self._asked.is_set():
            self._on_impatience()
        self.signal_name = self.signal_name or number.name
        self._asked.set()
