"""An event loop on virtual time: where asyncio would wait, its clock jumps. Nothing ever sleeps for real.

What asyncio promises holds here: callbacks run in the order they were registered in. What it does not promise is drawn
from the seed: which of two timers that are due together runs first, and how much later than it asked each one runs.
"""

import asyncio
import selectors
from collections.abc import Callable
from random import Random
from typing import Any

# Two timers within this of each other may run in either order.
TIE_SECONDS = 2e-6
_LAG_SECONDS = 0.0005
# A loop that is busy for so many turns without waiting once is not going to wait any more.
_MAX_BUSY_TURNS = 20_000
# A run is over in a minute or two; what is scheduled after that is somebody going round in circles.
_MAX_SECONDS = 1800.0


class Stuck(Exception):
    """The run cannot come to its end: a deadlock, or something that goes round in circles."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """`lag_seconds` is by how much timers have been late so far, all together: no wait can owe more to it."""

    def __init__(self, rng: Random, freeze_share: float = 0.0) -> None:
        """`freeze_share` of all waits end late by up to 0.4 s, as when the process was not given a processor."""
        self._rng = rng
        self._freeze_share = freeze_share
        self._seconds = 0.0
        self.freezes = 0
        self.lag_seconds = 0.0
        super().__init__(_Jumping(self._jump))

    def time(self) -> float:
        """Seconds since the run began."""
        return self._seconds

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """As asyncio's, but which of two that are due together comes first is anybody's guess."""
        return super().call_at(when + TIE_SECONDS * self._rng.random(), callback, *args, context=context)

    def _jump(self, timeout: float) -> None:
        lag = _LAG_SECONDS * self._rng.random() ** 4
        if self._freeze_share and self._rng.random() < self._freeze_share:
            self.freezes += 1
            lag += self._rng.uniform(0.0, 0.4)
        self._seconds += timeout + lag
        self.lag_seconds += lag + TIE_SECONDS
        if self._seconds > _MAX_SECONDS:
            raise Stuck(f"still not over after {_MAX_SECONDS:.0f} virtual seconds")


class _Jumping(selectors.SelectSelector):
    """Watches no file: to wait is to let the clock jump."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump
        self._busy_turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Nothing was ready, and `timeout` has passed."""
        if timeout is None:
            raise Stuck("deadlock: nothing is scheduled, so nothing will ever happen again")
        if timeout > 0:
            self._busy_turns = 0
            self._jump(timeout)
            return []
        self._busy_turns += 1
        if self._busy_turns > _MAX_BUSY_TURNS:
            raise Stuck(f"the loop has been busy for {_MAX_BUSY_TURNS} turns in which no time has passed")
        return []
