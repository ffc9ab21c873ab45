"""Decides claims and looks them up: it has batchers for each round, so that no round waits for another.

Each eligibility epoch of a round has a batcher of its own too, as one call compares one epoch. Epochs begin with edits,
so there are few. Lookups have batchers of their own: claims do not wait for them.
"""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import TypeVar

from claimd.domain.outcomes import Decision
from claimd.domain.rounds import FIRST_EPOCH
from claimd.engine.batcher import Batcher, BatchLimits, Deliver
from claimd.engine.tallies import ClaimTally, LookupTally
from claimd.metrics.counts import Counts
from claimd.store.ports import ClaimStore

# More are forgotten once they are idle, at the loss of the call times that they have measured.
_MOST_BATCHERS = 1024

_Key = TypeVar("_Key", bound=Hashable)


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
        self._lookups: dict[str, Batcher] = {}
        self._lookup_tally = LookupTally(counts)

    async def claim(self, round_id: str, identity: bytes, epoch: int = FIRST_EPOCH) -> Decision:
        """Decide one claim, and return the decision; see `submit_claim`, which calls back instead."""
        decided = _Decided()
        self.submit_claim(round_id, identity, decided.deliver, epoch)
        return await decided.future

    async def find_claim(self, round_id: str, identity: bytes) -> Decision:
        """Look up one claim, and return the decision; see `submit_lookup`, which calls back instead."""
        decided = _Decided()
        self.submit_lookup(round_id, identity, decided.deliver)
        return await decided.future

    def submit_claim(self, round_id: str, identity: bytes, deliver: Deliver, epoch: int = FIRST_EPOCH) -> None:
        """Have one claim decided, in the eligibility epoch in which it was admitted; see `Batcher.submit`.

        The caller has checked by a pass, or by reading it, that the round exists: no client can make batchers at will.
        """
        batcher = self._batchers.get((round_id, epoch))
        if batcher is None:
            self._batchers = _without_idle(self._batchers)
            decide = partial(self._decide, round_id, epoch)
            tally = ClaimTally(self._counts, round_id)
            batcher = Batcher(decide, f"claims of round {round_id}", tally, self._limits, self._clock)
            self._batchers[round_id, epoch] = batcher
        batcher.submit(identity, deliver)

    def submit_lookup(self, round_id: str, identity: bytes, deliver: Deliver) -> None:
        """Have one claim looked up: REPLAYED with the claim that the identity holds, NOT_CLAIMED, or a refusal.

        `round_id` has the form of an id; the round need not exist.
        """
        batcher = self._lookups.get(round_id)
        if batcher is None:
            self._lookups = _without_idle(self._lookups)
            batcher = Batcher(
                partial(self._store.find_claims, round_id),
                f"lookups in round {round_id}",
                self._lookup_tally,
                self._limits,
                self._clock,
                changes_nothing=True,
            )
            self._lookups[round_id] = batcher
        batcher.submit(identity, deliver)

    def queue_depth(self) -> int:
        """The number of claims that wait for a batch, over all rounds."""
        return sum(map(len, self._batchers.values()))

    async def drain(self) -> None:
        """Return when every claim is decided."""
        for batcher in list(self._batchers.values()):
            await batcher.drain()

    async def _decide(self, round_id: str, epoch: int, identities: Sequence[bytes]) -> list[Decision]:
        return await self._store.claim(round_id, identities, epoch)


class _Decided:
    """Turns the call that delivers a decision into a future."""

    def __init__(self) -> None:
        self.future: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()

    def deliver(self, decision: Decision) -> None:
        if not self.future.cancelled():
            self.future.set_result(decision)


def _without_idle(batchers: dict[_Key, Batcher]) -> dict[_Key, Batcher]:
    """The batchers, without the idle ones where there are too many, as those of rounds that are over add up."""
    if len(batchers) < _MOST_BATCHERS:
        return batchers
    return {key: batcher for key, batcher in batchers.items() if batcher.busy}
