"""A store of counts whose saves fail on demand, and how all that is saved adds up."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from claimd.metrics.counters import counters
from claimd.metrics.tally import Tally, tally
from claimd.store.errors import StoreUnavailable
from claimd.store.redis.counts import RedisCounts
from claimd.store.saved_counts import MergeOutcome, Saved, SavedCounts


@dataclass
class FaultyCounts:
    """The real store, whose next save is `lost` before the server, or its `reply` is."""

    store: RedisCounts
    fault: str = ""

    async def save(self, run: str, seen_ms: int | None, waiting: int, changes: Mapping[str, int]) -> Saved:
        fault, self.fault = self.fault, ""
        if fault == "lost":
            raise StoreUnavailable("lost")
        saved = await self.store.save(run, seen_ms, waiting, changes)
        if fault == "reply":
            raise StoreUnavailable("its reply was lost")
        return saved

    async def merge(self, run: str, silent_ms: int) -> MergeOutcome:
        return await self.store.merge(run, silent_ms)

    async def forget_merged(self) -> None:
        await self.store.forget_merged()

    async def load(self) -> SavedCounts:
        return await self.store.load()

    async def old(self) -> Mapping[str, bytes]:
        return await self.store.old()

    async def forget_old(self, gateways: Sequence[str]) -> None:
        await self.store.forget_old(gateways)

    async def rounds_over(self, round_ids: Sequence[str], for_ms: int) -> set[str]:
        return await self.store.rounds_over(round_ids, for_ms)

    async def settle(self, moves: Mapping[str, str]) -> None:
        await self.store.settle(moves)


@dataclass
class Swallowing(FaultyCounts):
    """Makes an error of the first cancellation, as the Redis library does in the middle of some calls."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    swallowed: bool = False

    async def save(self, run: str, seen_ms: int | None, waiting: int, changes: Mapping[str, int]) -> Saved:
        await self._swallow()
        return await super().save(run, seen_ms, waiting, changes)

    async def load(self) -> SavedCounts:
        await self._swallow()
        return await super().load()

    async def _swallow(self) -> None:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            if self.swallowed:
                raise
            self.swallowed = True
            raise StoreUnavailable("cancelled") from error


async def check_swallowed(running: Coroutine[Any, Any, None], asked: asyncio.Event) -> None:
    """`running` ends when it is cancelled in the middle of a call, though the call swallows that."""
    task = asyncio.create_task(running)
    await asked.wait()
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=10)
    assert done
    assert task.cancelled()


async def shown(store: RedisCounts) -> Tally:
    """What a scrape shows now."""
    return tally(await store.load())


async def shown_counters(store: RedisCounts) -> dict[str, int]:
    """The counters that a scrape shows now, settled ones included."""
    found = await shown(store)
    return counters(found.counts) | {f"claims::{outcome}": n for outcome, n in found.settled.items()}
