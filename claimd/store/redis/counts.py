"""The counts of gateways in Redis or Valkey: a hash for each run, a hash of all runs, and one of the merged counts.

A scrape adds them up while runs are merged into the past. So the past, and the names of the runs that are not in it,
are read in one step *after* the counters of the runs; the counters of a run that was merged by then are left out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from claimd.store.redis import keys
from claimd.store.redis.codec import read_pairs
from claimd.store.redis.errors import translated_errors
from claimd.store.redis.replies import awaited, time_ms
from claimd.store.redis.script_calls import ScriptCalls
from claimd.store.redis.scripts import load_script
from claimd.store.saved_counts import (
    MAX_CHANGES,
    MERGED_KEPT_MS,
    MergeOutcome,
    RunCounts,
    Saved,
    SavedCounts,
    SaveOutcome,
)

_T = TypeVar("_T")


class RedisCounts:
    """Implements `CountsStore`."""

    def __init__(self, reads: Redis, calls: ScriptCalls) -> None:
        self._reads = reads
        self._calls = calls
        self._save = load_script("counts_save")
        self._merge = load_script("counts_merge")
        self._read = load_script("counts_read")
        self._settle = load_script("counts_settle")

    async def save(self, run: str, seen_ms: int | None, waiting: int, changes: Mapping[str, int]) -> Saved:
        """See `CountsStore.save`."""
        names = (keys.COUNTS_RUNS, keys.counts_key(run), keys.COUNTS_MERGED)
        flat = [part for name, value in changes.items() for part in (name, str(value))]
        args = (run, "" if seen_ms is None else str(seen_ms), str(waiting), *flat)
        now_ms, word, held = await self._calls.call(self._save, names, args)
        return Saved(SaveOutcome(word.decode()), held, now_ms)

    async def merge(self, run: str, silent_ms: int) -> MergeOutcome:
        """See `CountsStore.merge`."""
        names = (keys.COUNTS_RUNS, keys.counts_key(run), keys.COUNTS_PAST, keys.COUNTS_MERGED)
        _, word = await self._calls.call(self._merge, names, (run, str(silent_ms)))
        return MergeOutcome(word.decode())

    async def load(self) -> SavedCounts:
        """See `CountsStore.load`."""
        with translated_errors():
            names = list(_runs(await awaited(self._reads.hgetall(keys.COUNTS_RUNS))))
            pipeline = self._reads.pipeline(transaction=False)
            pipeline.hgetall(keys.METRICS)
            for name in names:
                pipeline.hgetall(keys.counts_key(name))
            old, *found = [_readable(reply) for reply in await pipeline.execute(raise_on_error=False)]
        now_ms, flat_runs, past = await self._calls.call(self._read, (keys.COUNTS_RUNS, keys.COUNTS_PAST), ())
        counters = dict(zip(names, found, strict=True))
        runs = [
            RunCounts(name, seen_ms, waiting, counters[name])
            for name, (seen_ms, waiting) in _runs(read_pairs(flat_runs)).items()
            if name in counters
        ]
        return SavedCounts(now_ms, runs, read_pairs(past), _by_gateway(old))

    async def forget_merged(self) -> None:
        """See `CountsStore.forget_merged`."""
        with translated_errors():
            pipeline = self._reads.pipeline(transaction=False)
            pipeline.time()
            pipeline.hgetall(keys.COUNTS_MERGED)
            now, merged = await pipeline.execute()
            long_ago = [
                name
                for name, seen_ms in merged.items()
                if not seen_ms.isdigit() or abs(time_ms(now) - int(seen_ms)) >= MERGED_KEPT_MS
            ]
            for some in _chunks(long_ago):
                await awaited(self._reads.hdel(keys.COUNTS_MERGED, *some))

    async def old(self) -> dict[str, bytes]:
        """See `CountsStore.old`."""
        with translated_errors():
            return _by_gateway(await awaited(self._reads.hgetall(keys.METRICS)))

    async def forget_old(self, gateways: Sequence[str]) -> None:
        """See `CountsStore.forget_old`."""
        with translated_errors():
            for some in _chunks(gateways):
                await awaited(self._reads.hdel(keys.METRICS, *some))

    async def rounds_over(self, round_ids: Sequence[str], for_ms: int) -> set[str]:
        """See `CountsStore.rounds_over`."""
        over = set()
        for some in _chunks(round_ids):
            with translated_errors():
                pipeline = self._reads.pipeline(transaction=False)
                pipeline.time()
                for round_id in some:
                    pipeline.hmget(keys.of_round(round_id).round, ["closes_at_ms"])
                now, *found = await pipeline.execute()
            over |= {
                round_id
                for round_id, (closes_at_ms,) in zip(some, found, strict=True)
                if closes_at_ms is None or int(closes_at_ms) + for_ms <= time_ms(now)
            }
        return over

    async def settle(self, moves: Mapping[str, str]) -> None:
        """See `CountsStore.settle`."""
        for some in _chunks(moves.items()):
            await self._calls.call(self._settle, (keys.COUNTS_PAST,), [part for move in some for part in move])


def _runs(pairs: Mapping[bytes, bytes]) -> dict[str, tuple[int, int]]:
    """seen_ms and waiting by run; both are 0 for an entry that another program has written."""
    return {name.decode(errors="replace"): _run(value) for name, value in pairs.items()}


def _run(value: bytes) -> tuple[int, int]:
    try:
        seen_ms, waiting = value.split(b":")
        return int(seen_ms), int(waiting)
    except ValueError:
        return 0, 0


def _readable(reply: Any) -> Mapping[bytes, bytes] | None:
    """The hash of a reply; None where the key has another type. Raises any other error."""
    if isinstance(reply, ResponseError) and str(reply).startswith("WRONGTYPE"):
        return None
    if isinstance(reply, Exception):
        raise reply
    found: Mapping[bytes, bytes] = reply
    return found


def _by_gateway(saved: Mapping[bytes, bytes] | None) -> dict[str, bytes]:
    return {name.decode(errors="replace"): text for name, text in (saved or {}).items()}


def _chunks(items: Iterable[_T]) -> Iterator[list[_T]]:
    iterator = iter(items)
    while some := list(islice(iterator, MAX_CHANGES)):
        yield some
