"""Saves the counts of a gateway, so that the console can add up the counts of gateways on any machine.

Once a second it writes the counters that have changed, as absolute values under a name of this process's own. An idle
gateway writes one field every QUIET_REPORTS seconds as a heartbeat. A run ends with its process, after a day, or when
the console took it for dead: then its counters become a part of the past, and a new run counts on from 0.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import islice

from claimd.metrics.counters import counters
from claimd.metrics.counts import Counts
from claimd.metrics.trouble import Trouble
from claimd.store.errors import StoreError
from claimd.store.ports import CountsStore
from claimd.store.saved_counts import MAX_CHANGES, MERGED_KEPT_MS, Saved, SaveOutcome

_INTERVAL_SECONDS = 1.0
# A server that is away must not prevent a gateway from stopping.
_CLOSE_SECONDS = 2.0
# `tally.FRESH_MS` is three times as long, and the console merges runs that are silent for 60 times as long.
QUIET_REPORTS = 5
# A run of a day has only the counters of that day: those of rounds that are over are not saved for ever.
_RUN_REPORTS = 24 * 3600

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Run:
    """`saved` are the counters that the server has of the run; `acknowledged` also those that it had and has lost.

    `in_doubt` is a save with unknown outcome. It is repeated unchanged, so that the values that the server may have are
    always known.
    """

    name: str
    saved: dict[str, int] = field(default_factory=dict)
    acknowledged: dict[str, int] = field(default_factory=dict)
    seen_ms: int | None = None
    in_doubt: dict[str, int] | None = None


class Reporter:
    """Reports as `<worker>.<token>`: no two processes, and no two runs of one, ever share a name."""

    def __init__(self, store: CountsStore, worker: str, counts: Counts, queue_depth: Callable[[], int]) -> None:
        self._store = store
        self._worker = worker
        self._counts = counts
        self._queue_depth = queue_depth
        self._trouble = Trouble(_log, "saving counts", time.monotonic)
        # The counters of earlier runs of this process, which are a part of the past.
        self._before: dict[str, int] = {}
        self._reports = 0
        self._waiting = 0
        self._quiet = QUIET_REPORTS
        self._run = self._new_run()

    @property
    def run_name(self) -> str:
        """The name of the current run."""
        return self._run.name

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Report every second until cancelled. After a failure, which is logged, the next report saves the rest."""
        task = asyncio.current_task()
        while True:
            await self.try_to(self.report)
            if task is not None and task.cancelling():
                # The Redis library swallows a cancellation in the middle of a call, and there is only ever one.
                raise asyncio.CancelledError
            await sleep(_INTERVAL_SECONDS)

    async def try_to(self, act: Callable[[], Awaitable[None]]) -> None:
        """Await `act`, and log a failure: counting must never end the gateway, nor fail silently."""
        try:
            await act()
        except Exception as error:
            self._trouble.failed(error, unexpected=not isinstance(error, StoreError | TimeoutError))
        else:
            self._trouble.worked()

    async def report(self) -> None:
        """Save the counters that have changed since the last report. Raises StoreUnavailable."""
        self._reports += 1
        self._quiet += 1
        if self._reports % _RUN_REPORTS == 0 and self._run.in_doubt is None:
            await self._store.merge(self._run.name, silent_ms=0)
            # The next save finds the run merged, and begins another one.
            self._quiet = QUIET_REPORTS
        waiting = self._queue_depth()
        changes = self._next_changes()
        if self._run.in_doubt is None and not changes and waiting == self._waiting and self._quiet < QUIET_REPORTS:
            return
        while await self._save(changes, waiting):
            changes = self._next_changes()

    async def close(self) -> None:
        """Save the last counts, and merge the run into the past.

        Raises StoreUnavailable, TimeoutError.
        """
        async with asyncio.timeout(_CLOSE_SECONDS):
            self._quiet = QUIET_REPORTS
            await self.report()
            await self._store.merge(self._run.name, silent_ms=0)

    async def _save(self, changes: dict[str, int], waiting: int) -> bool:
        """Save `changes`; returns whether there is more to save."""
        in_doubt, self._run.in_doubt = self._run.in_doubt, changes
        saved = await self._store.save(self._run.name, self._run.seen_ms, waiting, changes)
        self._run.in_doubt = None
        if saved.outcome is SaveOutcome.SAVED:
            self._acknowledge(changes, saved.seen_ms)
            self._waiting, self._quiet = waiting, 0
            # A repeated save has older values than the counters have now.
            return in_doubt is not None or len(changes) == MAX_CHANGES
        has_arrived = in_doubt is not None and saved.seen_ms > (self._run.seen_ms or 0)
        if has_arrived:
            self._acknowledge(changes, saved.seen_ms)
        if saved.outcome is SaveOutcome.MERGED or self._was_forgotten(saved):
            self._go_on_after_merge()
        elif not has_arrived:
            # The server has lost the last save: write everything.
            self._run.saved, self._run.seen_ms = {}, None
        return True

    def _acknowledge(self, changes: dict[str, int], seen_ms: int) -> None:
        self._run.saved |= changes
        self._run.acknowledged |= changes
        self._run.seen_ms = seen_ms

    def _was_forgotten(self, saved: Saved) -> bool:
        """Whether the run was merged so long ago that the server has forgotten its name."""
        seen_ms = self._run.seen_ms
        return saved.seen_ms == 0 and seen_ms is not None and saved.now_ms - seen_ms >= MERGED_KEPT_MS

    def _go_on_after_merge(self) -> None:
        """Begin another run, which counts on from the counters that were acknowledged of this one."""
        for name, value in self._run.acknowledged.items():
            self._before[name] = self._before.get(name, 0) + value
        self._run = self._new_run()

    def _new_run(self) -> _Run:
        return _Run(f"{self._worker}.{os.urandom(8).hex()}")

    def _next_changes(self) -> dict[str, int]:
        if self._run.in_doubt is not None:
            return self._run.in_doubt
        before, saved = self._before, self._run.saved
        changed = (
            (name, value - before.get(name, 0))
            for name, value in counters(self._counts).items()
            if value - before.get(name, 0) > saved.get(name, 0)
        )
        return dict(islice(changed, MAX_CHANGES))
