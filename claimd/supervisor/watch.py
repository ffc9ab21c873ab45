"""Whether a child process answers, judged by the time since its last heartbeat.

Only time in which the supervisor itself was running counts: after it was suspended (SIGSTOP, a machine that slept) it
must not take any child for hung.
"""

import asyncio
from collections.abc import Callable
from typing import Final

_TICK_SECONDS: Final = 0.25
# Four missed heartbeats, and far longer than one iteration of an event loop under load.
QUIET_SECONDS: Final = 1.0
HUNG_SECONDS: Final = 5.0
# Before it is ready: imports take long on a busy machine, and a server that loads a large file replies rarely.
START_SECONDS: Final = 30.0


class Watch:
    """Counts the seconds since one process's last heartbeat.

    `on_answering` gets True when the process becomes ready or answers again, False when it has been silent for
    QUIET_SECONDS or has ended. `on_hung` gets the limit, once, when the process has been silent for HUNG_SECONDS;
    before it is ready, for START_SECONDS.
    """

    def __init__(self, on_answering: Callable[[bool], None], on_hung: Callable[[float], None]) -> None:
        self._on_answering = on_answering
        self._on_hung = on_hung
        self._limit_seconds = START_SECONDS
        self._silent_seconds = 0.0
        self._ready = False
        self._answering = False
        self._hung = False
        self._expects_heartbeats = True
        self.first_heartbeat = asyncio.Event()

    def heartbeat(self) -> None:
        """Record a sign of life of the process."""
        self._silent_seconds = 0.0
        self.first_heartbeat.set()
        if self._ready:
            self._set_answering(True)

    def mark_ready(self) -> None:
        """Record that the process serves from now on."""
        self._ready = True
        self._limit_seconds = HUNG_SECONDS
        self.heartbeat()

    def expect_no_more(self) -> None:
        """Ignore silence from now on: the process has closed its pipe, or has ended."""
        self._expects_heartbeats = False

    def mark_ended(self) -> None:
        """Record that the process has ended."""
        self.expect_no_more()
        self._set_answering(False)

    def advance(self, seconds: float) -> None:
        """Let time pass. Of a long pause only two ticks count, as heartbeats were not read during it."""
        if not self._expects_heartbeats:
            return
        self._silent_seconds += min(seconds, 2 * _TICK_SECONDS)
        if self._silent_seconds >= QUIET_SECONDS:
            self._set_answering(False)
        if self._silent_seconds >= self._limit_seconds and not self._hung:
            self._hung = True
            self._on_hung(self._limit_seconds)

    async def run(self) -> None:
        """Advance with the event loop's clock, until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            before = clock()
            await asyncio.sleep(_TICK_SECONDS)
            self.advance(clock() - before)

    def _set_answering(self, answering: bool) -> None:
        if answering != self._answering:
            self._answering = answering
            self._on_answering(answering)
