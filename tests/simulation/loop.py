"""An event loop on virtual time: where asyncio would wait, its clock jumps. It never sleeps.

The promises of asyncio hold: callbacks run in the order of their registration. What it leaves open is drawn from the
seed: which of two timers that are due together runs first, and the delay of each timer.
"""

import asyncio
import selectors
from collections.abc import Callable
from random import Random
from typing import Any

# Two timers within this of each other may run in either order.
TIE_SECONDS = 2e-6
_LAG_SECONDS = 0.0005
# After so many iterations without a wait the loop is taken to be in an endless cycle.
_MAX_BUSY_ITERATIONS = 20_000
# A run takes a minute or two of virtual time; one that takes longer is in an endless cycle.
_MAX_SECONDS = 1800.0


class Stuck(Exception):
    """The run cannot end: a deadlock or an endless cycle."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """`lag_seconds` is the sum of the delays of all timers so far: no wait was prolonged by more."""

    def __init__(self, rng: Random, freeze_share: float = 0.0) -> None:
        """`freeze_share` of all waits end up to 0.4 s late, as when the process is not scheduled."""
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
        """As in asyncio, but of two timers that are due together a random one runs first."""
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
    """Watches no file: instead of waiting it lets the clock jump."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump
        self._busy_iterations = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let `timeout` pass; returns no ready file. Raises Stuck for a deadlock or an endless cycle."""
        if timeout is None:
            raise Stuck("deadlock: nothing is scheduled, so nothing will ever happen again")
        if timeout > 0:
            self._busy_iterations = 0
            self._jump(timeout)
            return []
        self._busy_iterations += 1
        if self._busy_iterations > _MAX_BUSY_ITERATIONS:
            raise Stuck(f"the loop has been busy for {_MAX_BUSY_ITERATIONS} iterations in which no time has passed")
        return []
