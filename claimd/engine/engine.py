"""The one door to a decision: each round has a batcher of its own, so that no round waits for another."""

import asyncio
from collections.abc import Callable

from claimd.domain.outcomes import Decision
from claimd.engine.batcher import Batcher, BatchLimits, Deliver
from claimd.metrics.counts import Counts
from claimd.store.protocol import Store


class ClaimEngine:
    """Shared by everything in a process that claims. Must be made inside a running loop."""

    def __init__(
        self,
        store: Store,
        counts: Counts,
        limits: BatchLimits | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """`clock` gives seconds that never go back; the loop's own unless told otherwise."""
        self._store = store
        self._counts = counts
        self._limits = limits or BatchLimits()
        self._clock = clock or asyncio.get_running_loop().time
        self._batchers: dict[str, Batcher] = {}

    async def claim(self, round_id: str, identity: bytes) -> Decision:
        """The decision on one claim, for those who can wait for it. See `submit`."""
        decided: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()

        def deliver(decision: Decision) -> None:
            if not decided.cancelled():
                decided.set_result(decision)

        self.submit(round_id, identity, deliver)
        return await decided

    def submit(self, round_id: str, identity: bytes, deliver: Deliver) -> None:
        """Have one claim decided, of a round that a pass or a reading vouches for: each round keeps a batcher."""
        batcher = self._batchers.get(round_id)
        if batcher is None:
            batcher = Batcher(self._store, round_id, self._counts, self._limits, self._clock)
            self._batchers[round_id] = batcher
        batcher.submit(identity, deliver)

    def queue_depth(self) -> int:
        """Claims that wait for a batch, over all rounds."""
        return sum(map(len, self._batchers.values()))

    async def drain(self) -> None:
        """Return when every claim is decided."""
        for batcher in list(self._batchers.values()):
            await batcher.drain()
