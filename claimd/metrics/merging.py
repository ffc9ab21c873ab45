"""Keeps the saved counts small: merges runs that have ended into the past, and rounds that are over into one sum.

The console does it, as it is the reader of the counts. Several consoles may do it at a time: the server executes each
step once.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import islice

from claimd.metrics.counters import add_old_snapshot, counters, round_of, settled
from claimd.metrics.counts import Counts
from claimd.metrics.tally import FOLDED, OLD_RUN
from claimd.metrics.trouble import Trouble
from claimd.store.errors import StoreError
from claimd.store.ports import CountsStore
from claimd.store.saved_counts import MAX_CHANGES, SavedCounts

_INTERVAL_SECONDS = 30.0
_SETTLE_EVERY = 20
_MAX_FAILURES = 10
# An idle gateway saves every 5 seconds. A gateway whose run was merged too early only begins another one.
SILENT_MS = 300_000
# Operators look at a round for some days after it has closed.
_OVER_MS = 7 * 24 * 3600 * 1000

_log = logging.getLogger(__name__)


class Merging:
    """Merges over one store of counts; `run` does so until it is cancelled."""

    def __init__(self, store: CountsStore) -> None:
        self._store = store
        self._trouble = Trouble(_log, "merging counts", time.monotonic)

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Merge every 30 seconds, and settle rounds every 10 minutes. A failure is logged; the next time retries."""
        task, turn = asyncio.current_task(), 0
        while True:
            try:
                if turn % _SETTLE_EVERY == 0:
                    await self.settle_rounds()
                    await self._store.forget_merged()
                await self.merge_ended()
            except Exception as error:
                self._trouble.failed(error, unexpected=not isinstance(error, StoreError))
            else:
                self._trouble.worked()
            turn += 1
            if task is not None and task.cancelling():
                # The Redis library swallows a cancellation in the middle of a call, and there is only ever one.
                raise asyncio.CancelledError
            await sleep(_INTERVAL_SECONDS)

    async def merge_ended(self, silent_ms: int = SILENT_MS) -> None:
        """Merge runs that have been silent for `silent_ms`, and the counts of version 0.1. Raises StoreError."""
        saved = await self._store.load()
        silent = [run.name for run in saved.runs if abs(saved.now_ms - run.seen_ms) >= silent_ms]
        failures: list[StoreError] = []
        for name in silent:
            if name != OLD_RUN:
                await self._merge(name, silent_ms, failures)
        if saved.old:
            await self._fold_old(saved, silent_ms)
        if failures:
            raise failures[0]

    async def settle_rounds(self) -> None:
        """Move the counters of rounds that have been over for a week, or are gone, into one sum for each outcome."""
        past = [name.decode(errors="replace") for name in (await self._store.load()).past]
        by_counter = {counter: round_id for counter in past if (round_id := round_of(counter)) is not None}
        over = await self._store.rounds_over(sorted(set(by_counter.values())), _OVER_MS)
        await self._store.settle(
            {counter: settled(counter) for counter, round_id in by_counter.items() if round_id in over}
        )

    async def _merge(self, name: str, silent_ms: int, failures: list[StoreError]) -> None:
        """Merge a run, and note a failure: one damaged run must not stop the others. Raises the tenth failure."""
        try:
            await self._store.merge(name, silent_ms)
        except StoreError as error:
            failures.append(error)
            if len(failures) >= _MAX_FAILURES:
                raise

    async def _fold_old(self, saved: SavedCounts, silent_ms: int) -> None:
        """Make the counts of builds before 0.1.0 a part of the past once no gateway of such a build saves any more."""
        counts, ended = Counts(), []
        for gateway, text in saved.old.items():
            at_ms = add_old_snapshot(counts, text)
            if at_ms is not None and abs(saved.now_ms - at_ms) < silent_ms:
                return
            if at_ms is not None:
                ended.append(gateway)
        if not ended:
            return
        if FOLDED not in saved.past:
            await self._save_old(counters(counts) | {FOLDED.decode(): 1})
            await self._store.merge(OLD_RUN, silent_ms=0)
        await self._store.forget_old(ended)

    async def _save_old(self, values: Mapping[str, int]) -> None:
        # Absolute values under one name: after an interruption, a second try counts nothing twice.
        iterator = iter(values.items())
        while some := dict(islice(iterator, MAX_CHANGES)):
            await self._store.save(OLD_RUN, None, 0, some)
