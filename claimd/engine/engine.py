"""Decides claims: it has a batcher for each round, so that no round waits for another.

Each eligibility epoch of a round has a batcher of its own too, as one call compares one epoch. Epochs begin with edits,
so there are few.
"""

import asyncio
from collections.abc import Callable

from claimd.domain.outcomes import Decision
from claimd.domain.rounds import FIRST_EPOCH
from claimd.engine.batcher import Batcher, BatchLimits, Deliver
from claimd.metrics.counts import Counts
from claimd.store.ports import ClaimStore

# More are forgotten once they are idle, at the loss of the call times that they have measured.
_MOST_BATCHERS = 1024


class ClaimEngine:
    """One for each gateway process. Must be made inside a running event loop."""

    def __init__(
        self,
        store: ClaimStore,
        counts: Counts,
        limits: BatchLimits | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """`clock` gives seconds that never go back; by default it is that of the event loop."""
        self._store = store
        self._counts = counts
        self._limits = limits or BatchLimits()
        self._clock = clock or asyncio.get_running_loop().time
        self._batchers: dict[tuple[str, int], Batcher] = {}

    async def claim(self, round_id: str, identity: bytes, epoch: int = FIRST_EPOCH) -> Decision:
        """Decide one claim, and return the decision; see `submit_claim`, which calls back instead."""
        decided: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()

        def deliver(decision: Decision) -> None:
            if not decided.cancelled():
                decided.set_result(decision)

        self.submit_claim(round_id, identity, deliver, epoch)
        return await decided

    def submit_claim(self, round_id: str, identity: bytes, deliver: Deliver, epoch: int = FIRST_EPOCH) -> None:
        """Have one claim decided, in the eligibility epoch in which it was admitted; see `Batcher.submit`.

        The caller has checked by a pass, or by reading it, that the round exists: no client can make batchers at will.
        """
        batcher = self._batchers.get((round_id, epoch))
        if batcher is None:
            self._forget_idle()
            batcher = Batcher(self._store, round_id, self._counts, self._limits, self._clock, epoch)
            self._batchers[round_id, epoch] = batcher
        batcher.submit(identity, deliver)

    def queue_depth(self) -> int:
        """The number of claims that wait for a batch, over all rounds."""
        return sum(map(len, self._batchers.values()))

    def _forget_idle(self) -> None:
        """Forget the idle batchers where there are too many, as those of rounds that are over add up over weeks."""
        if len(self._batchers) >= _MOST_BATCHERS:
            self._batchers = {key: batcher for key, batcher in self._batchers.items() if batcher.busy}

    async def drain(self) -> None:
        """Return when every claim is decided."""
        for batcher in list(self._batchers.values()):
            await batcher.drain()
