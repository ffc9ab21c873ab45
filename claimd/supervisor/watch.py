"""Whether a process answers: how long it has been silent, and what follows from that.

Only time in which this process could have heard something counts: after it stood still itself (SIGSTOP, a machine that
was suspended) no child may be taken for hung.
"""

import asyncio
from collections.abc import Callable
from typing import Final

_TICK_SECONDS: Final = 0.25
# Several heartbeats, and far more than an event loop under load takes to come round.
QUIET_SECONDS: Final = 1.0
HUNG_SECONDS: Final = 5.0
# Until it is ready: imports on a busy machine, and a server that reads a large file between two answers.
START_SECONDS: Final = 30.0


class Watch:
    """Counts the silence of one process, in seconds.

    `on_answering` gets True when it is ready or answers again, and False when it has been silent for QUIET_SECONDS or
    is gone. `on_hung` gets the limit, once, when it has been silent for HUNG_SECONDS; before it is ready, for
    START_SECONDS.
    """

    def __init__(self, on_answering: Callable[[bool], None], on_hung: Callable[[float], None]) -> None:
        self._on_answering = on_answering
        self._on_hung = on_hung
        self._limit = START_SECONDS
        self._silent = 0.0
        self._ready = False
        self._answering = False
        self._hung = False
        self._ended = False
        self.first = asyncio.Event()

    def heard(self) -> None:
        """It has shown life just now."""
        self._silent = 0.0
        self.first.set()
        if self._ready:
            self._tell(answering=True)

    def ready(self) -> None:
        """It serves from now on."""
        self._ready = True
        self._limit = HUNG_SECONDS
        self.heard()

    def end(self) -> None:
        """It is gone, or will never show life again for a good reason: nothing follows from its silence."""
        self._ended = True

    def gone(self) -> None:
        """It has ended."""
        self.end()
        self._tell(answering=False)

    def passed(self, seconds: float) -> None:
        """So much time has passed. However much it was, only as much counts as between two ticks that are late."""
        if self._ended:
            return
        self._silent += min(seconds, 2 * _TICK_SECONDS)
        if self._silent >= QUIET_SECONDS:
            self._tell(answering=False)
        if self._silent >= self._limit and not self._hung:
            self._hung = True
            self._on_hung(self._limit)

    async def run(self) -> None:
        """Let time pass, until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            before = clock()
            await asyncio.sleep(_TICK_SECONDS)
            self.passed(clock() - before)

    def _tell(self, *, answering: bool) -> None:
        if answering != self._answering:
            self._answering = answering
            self._on_answering(answering)
