"""Bounds how many writes of events a process makes in a second, whatever the number of its listeners and rounds.

A write is the kernel's work for the most part, and cannot be made cheaper. So a large audience gets fewer events a
second, and the processor time that is left for claims does not depend on it.
"""

import asyncio
from collections.abc import Callable
from typing import Final

# 25 µs each, measured over loopback: a twentieth of a core. 500 listeners get four events a second, 2,000 get one.
# Beside 6,000 claims a second, 4,000 writes a second with 2,000 listeners made the p99 of claims 38 % longer, and
# 2,000 writes 3 % (`python -m loadtest.listeners`).
WRITES_PER_SECOND: Final = 2_000


class WritePace:
    """The turns of one process, first come first served. `clock` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._free_at = clock()

    def reserve(self, writes: int) -> float:
        """Reserve a turn for so many writes; how many seconds to wait for it."""
        now = self._clock()
        begins_at = max(now, self._free_at)
        self._free_at = begins_at + writes / WRITES_PER_SECOND
        return begins_at - now

    async def turn(self, writes: int) -> None:
        """Return when so many writes may be made; in a later event-loop iteration in any case."""
        await asyncio.sleep(self.reserve(writes))
