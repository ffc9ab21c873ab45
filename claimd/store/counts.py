"""The counts of gateways in Redis or Valkey: a hash for each run, a list of the runs, and one hash for all that ended.

A scrape adds them up while runs are merged into the past. So which runs were merged, and the past, are read in one step
*after* the counters of the runs: a run that was merged by then is in the past, and what was read of it is left out.
"""

from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from claimd.store import keys
from claimd.store.errors import translated_errors
from claimd.store.fields import read_pairs
from claimd.store.saved_counts import (
    MAX_CHANGES,
    MERGED_KEPT_MS,
    MergeOutcome,
    RunCounts,
    Saved,
    SavedCounts,
    SaveOutcome,
)
from claimd.store.script_calls import ScriptCalls
from claimd.store.scripts import load_script

_T = TypeVar("_T")


class RedisCounts:
    """Implements `CountsStore`."""

    def __init__(self, reading: "Redis", calls: ScriptCalls) -> None:
        self._reading = reading
        self._calls = calls
        self._save = load_script("counts_save")
        self._merge = load_script("counts_merge")
        self._read = load_script("counts_read")
        self._settle = load_script("counts_settle")

    async def save(self, run: str, seen_ms: int | None, waiting: int, changes: Mapping[str, int]) -> Saved:
        """See `CountsStore.save`."""
        flat = [part for name, value in changes.items() for part in (name, str(value))]
        args = (run, "" if seen_ms is None else str(seen_ms), str(waiting), *flat)
        now_ms, word, held = await self._calls.call(self._save, (keys.COUNTS_RUNS, keys.counts_key(run)), args)
        return Saved(SaveOutcome(word.decode()), held, now_ms)

    async def merge(self, run: str, silent_ms: int) -> MergeOutcome:
        """See `CountsStore.merge`."""
        names = (keys.COUNTS_RUNS, keys.counts_key(run), keys.COUNTS_PAST)
        _, word = await self._calls.call(self._merge, names, (run, str(silent_ms), str(MERGED_KEPT_MS)))
        return MergeOutcome(word.decode())

    async def load(self) -> SavedCounts:
        """See `CountsStore.load`."""
        with translated_errors():
            listed = _entries(await _awaited(self._reading.hgetall(keys.COUNTS_RUNS)))
            running = [name for name, (state, _, _) in listed.items() if state != b"merged"]
            pipeline = self._reading.pipeline(transaction=False)
            pipeline.hgetall(keys.METRICS)
            for name in running:
                pipeline.hgetall(keys.counts_key(name))
            old, *found = [_readable(reply) for reply in await pipeline.execute(raise_on_error=False)]
        now_ms, flat_runs, past = await self._calls.call(self._read, (keys.COUNTS_RUNS, keys.COUNTS_PAST), ())
        now_listed = _entries(read_pairs(flat_runs))
        counters = dict(zip(running, found, strict=True))
        runs = [
            RunCounts(name, seen_ms, waiting, counters[name])
            for name, (state, seen_ms, waiting) in now_listed.items()
            if state != b"merged" and name in counters
        ]
        ended = {name: seen_ms for name, (state, seen_ms, _) in now_listed.items() if state == b"merged"}
        return SavedCounts(now_ms, runs, read_pairs(past), _by_gateway(old), ended)

    async def old(self) -> dict[str, bytes]:
        """See `CountsStore.old`."""
        with translated_errors():
            return _by_gateway(await _awaited(self._reading.hgetall(keys.METRICS)))

    async def forget_old(self, gateways: Sequence[str]) -> None:
        """See `CountsStore.forget_old`."""
        with translated_errors():
            for some in _chunks(gateways):
                await _awaited(self._reading.hdel(keys.METRICS, *some))

    async def rounds_over(self, round_ids: Sequence[str], for_ms: int) -> set[str]:
        """See `CountsStore.rounds_over`."""
        over = set()
        for some in _chunks(round_ids):
            with translated_errors():
                pipeline = self._reading.pipeline(transaction=False)
                pipeline.time()
                for round_id in some:
                    pipeline.hmget(keys.round_key(round_id), ["closes_at_ms"])
                (seconds, _), *found = await pipeline.execute()
            over |= {
                round_id
                for round_id, (closes_at_ms,) in zip(some, found, strict=True)
                if closes_at_ms is None or int(closes_at_ms) + for_ms <= seconds * 1000
            }
        return over

    async def settle(self, moves: Mapping[str, str]) -> None:
        """See `CountsStore.settle`."""
        for some in _chunks(moves.items()):
            await self._calls.call(self._settle, (keys.COUNTS_PAST,), [part for move in some for part in move])


def _entries(pairs: Mapping[bytes, bytes]) -> dict[str, tuple[bytes, int, int]]:
    """State, seen_ms and waiting by run; an entry that is none of ours is a run that was never seen."""
    return {name.decode(errors="replace"): _entry(value) for name, value in pairs.items()}


def _entry(value: bytes) -> tuple[bytes, int, int]:
    try:
        state, seen_ms, waiting = value.split(b":")
        return state, int(seen_ms), int(waiting)
    except ValueError:
        return b"on", 0, 0


def _readable(reply: Any) -> Mapping[bytes, bytes] | None:
    """The hash that was read; None where something else than a hash is there."""
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


async def _awaited(reply: Awaitable[Any] | Any) -> Any:
    """The library types one method for its synchronous and its asynchronous client alike."""
    return await reply
