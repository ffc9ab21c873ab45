"""Saves a gateway's counts once a second, so that the console can merge the counts of gateways on any machine."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from claimd.metrics.counts import Counts, Snapshot

_INTERVAL_SECONDS = 1.0

_log = logging.getLogger(__name__)


class CountsStore(Protocol):
    """Where counts are kept between a gateway and the console."""

    async def save_counts(self, worker: str, counts: bytes) -> None:
        """Keep what a worker has counted so far."""
        ...

    async def load_counts(self) -> Mapping[str, bytes]:
        """What every worker last saved."""
        ...


class Reporter:
    """Reports under a name that outlives restarts (`host-0`): a worker goes on counting where it had stopped."""

    def __init__(self, store: CountsStore, worker: str, counts: Counts, queue_depth: Callable[[], int]) -> None:
        self._store = store
        self._worker = worker
        self._counts = counts
        self._queue_depth = queue_depth
        self._resumed = False

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Report until cancelled; a store that is away is tried again with the next second."""
        task = asyncio.current_task()
        while True:
            try:
                await self.report()
            except Exception as error:
                # Whatever it was: counting must never end the gateway that is counted.
                _log.debug("counts were not saved: %s", error)
            if task is not None and task.cancelling():
                # The Redis library swallows a cancellation in the middle of a call, and there is only ever one.
                raise asyncio.CancelledError
            await sleep(_INTERVAL_SECONDS)

    async def report(self) -> None:
        """Save the counts now."""
        if not self._resumed:
            before = (await self._store.load_counts()).get(self._worker)
            if before is not None:
                self._counts.merge(Snapshot.load(before).counts)
            self._resumed = True
        self._counts.queue_depth = self._queue_depth()
        await self._store.save_counts(self._worker, Snapshot(time.time_ns() // 1_000_000, self._counts).dump())
