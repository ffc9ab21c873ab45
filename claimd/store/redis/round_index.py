"""Which rounds are not over, and in what order they open: two sorted sets beside the set of all rounds.

`ROUNDS_CLOSING` has at least every round that is not over: the score is the greatest closing time that the round ever
had, and is written before the round is. A reader leaves out rounds that are over. Only a round that was closed, which
is final, gets a lower score. A round that is not over must never be missing from the index.
"""

import asyncio
import logging
from bisect import bisect_right
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, cast

from redis.asyncio import Redis

from claimd.domain.rounds import Definition, Round, Status
from claimd.store.errors import StoreDamaged
from claimd.store.ports import Position, RecentRounds, RoundsPage
from claimd.store.redis import keys
from claimd.store.redis.damage import Unreadable, round_or_damage
from claimd.store.redis.errors import translated_errors
from claimd.store.redis.replies import awaited, time_ms

# Rounds that one request reads at most, those that it leaves out included: a page may have fewer rounds than its limit.
_MOST_READ = 500
_READ_AT_ONCE = 100
_READ_AT_LEAST = 10
_IDS_AT_ONCE = 1000
# Concurrent edits of one round that one call of `settle` follows before it stops.
_SETTLING_TIMES = 20
_NEVER = "+inf"

_log = logging.getLogger(__name__)


class RoundIndex:
    """The index, read and written over `redis`. Every method raises StoreUnavailable."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._completing = asyncio.Lock()
        self._unreadable = Unreadable()

    async def page(self, statuses: Collection[Status], after: Position | None, limit: int) -> RoundsPage:
        """See `RoundReader.rounds_page`."""
        now_ms = await self._complete_at()
        found: list[Round] = []
        left = _MOST_READ
        async for positions in self._positions(Status.CLOSED in statuses, after, now_ms):
            while positions:
                if len(found) == limit or left <= 0:
                    return RoundsPage(now_ms, found, after)
                at_once = max(_READ_AT_LEAST, min(limit - len(found), _READ_AT_ONCE))
                part, positions = positions[:at_once], positions[at_once:]
                left -= len(part)
                for position, item in zip(part, await self._read(part), strict=True):
                    if len(found) == limit:
                        return RoundsPage(now_ms, found, after)
                    after = position
                    if item is not None and item.status(now_ms) in statuses:
                        found.append(item)
        return RoundsPage(now_ms, found, None)

    async def recent(self, over_for_ms: int, limit: int) -> RecentRounds:
        """See `RoundReader.recent_rounds`."""
        now_ms = await self._complete_at()
        since_ms = now_ms - over_for_ms
        positions = await self._not_over(since_ms)
        found: list[Round] = []
        for start in range(0, len(positions), _READ_AT_ONCE):
            read = await self._read(positions[start : start + _READ_AT_ONCE])
            # Only the index knows when an operator closed a round; it has selected the rounds by that time.
            found += [item for item in read if item is not None and item.definition.closes_at_ms > since_ms]
        found.sort(key=lambda item: item.status(now_ms) is Status.CLOSED)
        return RecentRounds(now_ms, found[:limit], max(0, len(found) - limit))

    async def prepare_creation(self, definition: Definition) -> None:
        """Add a round to the index before it is created; readers pass over a name without a round."""
        await self._complete_at()
        with translated_errors():
            pipeline = self._redis.pipeline(transaction=False)
            # The set first: a name in the set alone is recognized as missing from the index.
            pipeline.sadd(keys.ROUNDS, definition.id)
            pipeline.zadd(keys.ROUNDS_CLOSING, {definition.id: definition.closes_at_ms}, gt=True)
            # A round of that id may exist already, and keeps its place.
            pipeline.zadd(keys.ROUNDS_OPENING, {definition.id: definition.opens_at_ms}, nx=True)
            await pipeline.execute()

    async def prepare_edit(self, round_id: str, changes: dict[str, Any]) -> None:
        """Raise the closing time in the index before that of the round is raised."""
        closes_at_ms = changes.get("closes_at_ms")
        if closes_at_ms is None:
            return
        await self._complete_at()
        with translated_errors():
            # XX: an edit of a round that does not exist must not leave a name behind.
            await self._redis.zadd(keys.ROUNDS_CLOSING, {round_id: closes_at_ms}, gt=True, xx=True)

    async def settle(self, item: Round, now_ms: int) -> None:
        """Write to the index what the round is after an edit, also where several edits of it overtake each other.

        Each write is compared with the round as it is afterwards, so that the last writer has seen the last edit.
        """
        state = (item.definition.opens_at_ms, item.definition.closes_at_ms, item.closed)
        for _ in range(_SETTLING_TIMES):
            fields = await self._write(item.id, state, now_ms)
            found = _state(fields)
            if _has_left(fields):
                # It was deleted or archived meanwhile.
                await self.remove(item.id)
            if found in (state, None):
                return
            state = found

    async def remove(self, round_id: str) -> None:
        """Remove a deleted or archived round from the index; a round that was created anew meanwhile stays."""
        with translated_errors():
            pipeline = self._redis.pipeline(transaction=False)
            # The set last: as long as a name is in it, the index can be completed from it.
            pipeline.zrem(keys.ROUNDS_OPENING, round_id)
            pipeline.zrem(keys.ROUNDS_CLOSING, round_id)
            pipeline.srem(keys.ROUNDS, round_id)
            pipeline.hmget(keys.of_round(round_id).round, _INDEXED)
            *_, fields = await pipeline.execute()
        created = _state(fields)
        if created is not None:
            # Its score is not lowered where it is closed: the index may have rounds that are over.
            await self._write(round_id, (*created[:2], False), 0)

    async def _write(self, round_id: str, state: "_State", now_ms: int) -> Sequence[bytes | None]:
        """Write the state of a round to the index; returns the round's `_INDEXED` fields as they are after that."""
        opens_at_ms, closes_at_ms, closed = state
        with translated_errors():
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.sadd(keys.ROUNDS, round_id)
            pipeline.zadd(keys.ROUNDS_OPENING, {round_id: opens_at_ms})
            if closed:
                pipeline.zadd(keys.ROUNDS_CLOSING, {round_id: min(closes_at_ms, now_ms)}, lt=True)
            else:
                pipeline.zadd(keys.ROUNDS_CLOSING, {round_id: closes_at_ms}, gt=True)
            pipeline.hmget(keys.of_round(round_id).round, _INDEXED)
            *_, fields = await pipeline.execute()
        return cast(Sequence[bytes | None], fields)

    async def _complete_at(self) -> int:
        """The server's time in milliseconds, after making sure that every round is in the index."""
        with translated_errors():
            now_ms, complete = await self._time_and_completeness()
            if not complete:
                async with self._completing:
                    now_ms, complete = await self._time_and_completeness()
                    if not complete:
                        await self._complete(now_ms)
        return now_ms

    async def _time_and_completeness(self) -> tuple[int, bool]:
        """The server's time in milliseconds, and whether as many rounds are in the index as in the set of all."""
        pipeline = self._redis.pipeline(transaction=False)
        # The time first: a status derived from it is never ahead of what was read.
        pipeline.time()
        pipeline.scard(keys.ROUNDS)
        pipeline.zcard(keys.ROUNDS_OPENING)
        time_reply, named, indexed = await pipeline.execute()
        return time_ms(time_reply), named == indexed

    async def _complete(self, now_ms: int) -> None:
        """Index rounds that are in the set alone: those of versions without an index, and of interrupted creations."""
        indexed: set[bytes] = set(await awaited(self._redis.zrange(keys.ROUNDS_OPENING, 0, -1)))
        named: set[bytes] = set(await awaited(self._redis.smembers(keys.ROUNDS)))
        missing = list(named - indexed)
        for start in range(0, len(missing), _READ_AT_ONCE):
            part = missing[start : start + _READ_AT_ONCE]
            reading = self._redis.pipeline(transaction=False)
            for member in part:
                reading.hmget(keys.of_round(_name(member)).round, _INDEXED)
            replies = await reading.execute(raise_on_error=False)
            writing = self._redis.pipeline(transaction=False)
            for member, reply in zip(part, replies, strict=True):
                if isinstance(reply, list) and reply[_INDEXED.index("archived")] is not None:
                    writing.srem(keys.ROUNDS, member)
                    continue
                opens_at_ms, closing = _scores(_state_of_reply(reply), now_ms)
                # The index of opening times last, as it is the one that is counted. A round that is edited meanwhile
                # has entries of its own, and keeps them.
                writing.zadd(keys.ROUNDS_CLOSING, {member: closing}, gt=True)
                writing.zadd(keys.ROUNDS_OPENING, {member: opens_at_ms}, nx=True)
            await writing.execute()
        if removed := indexed - named:
            await awaited(self._redis.zrem(keys.ROUNDS_OPENING, *removed))
            await awaited(self._redis.zrem(keys.ROUNDS_CLOSING, *removed))
        _log.info("%d rounds were indexed", len(missing))

    async def _positions(self, over: bool, after: Position | None, now_ms: int) -> AsyncIterator[list[Position]]:
        """The rounds behind `after` by opening time, in chunks; without `over` only those that may not be over."""
        if not over:
            positions = await self._not_over(now_ms)
            yield positions[bisect_right(positions, after) if after else 0 :]
            return
        at = 0
        while True:
            with translated_errors():
                entries = await self._by_score(
                    keys.ROUNDS_OPENING, f"{after.opens_at_ms}" if after else "-inf", offset=at, num=_IDS_AT_ONCE
                )
            positions = [Position(int(score), _name(member)) for member, score in entries]
            yield [position for position in positions if after is None or position > after]
            if len(positions) < _IDS_AT_ONCE:
                return
            at += _IDS_AT_ONCE

    async def _not_over(self, now_ms: int) -> list[Position]:
        """The rounds that close after `now_ms` according to the index, by opening time."""
        with translated_errors():
            ids = [_name(member) for member, _ in await self._by_score(keys.ROUNDS_CLOSING, f"({now_ms}")]
            scores = await awaited(self._redis.zmscore(keys.ROUNDS_OPENING, ids)) if ids else []
        opening = zip(ids, scores, strict=True)
        return sorted(Position(int(score), round_id) for round_id, score in opening if score is not None)

    async def _by_score(self, key: str, lowest: str, **limits: int) -> list[tuple[bytes, float]]:
        """The members with a score of `lowest` or more, with their scores, sorted by score."""
        reply = self._redis.zrange(key, lowest, _NEVER, byscore=True, withscores=True, **limits)  # type: ignore[arg-type]
        return list(await awaited(reply))

    async def _read(self, positions: Sequence[Position]) -> list[Round | None]:
        """The rounds at these positions; None for a round that is missing, archived, or cannot be read."""
        with translated_errors():
            pipeline = self._redis.pipeline(transaction=False)
            for position in positions:
                pipeline.hgetall(keys.of_round(position.round_id).round)
            replies = await pipeline.execute(raise_on_error=False)
            found = [round_or_damage(at.round_id, reply) for at, reply in zip(positions, replies, strict=True)]
        self._unreadable.note(item for item in found if isinstance(item, StoreDamaged))
        return [item if isinstance(item, Round) else None for item in found]


# An archived round has the other fields, too.
_INDEXED = ("opens_at_ms", "closes_at_ms", "closed", "archived")
_State = tuple[int, int, bool]


def _state_of_reply(reply: Any) -> _State | None:
    """The state in a reply to HMGET of `_INDEXED`; None as in `_state`. Raises errors about other things."""
    if isinstance(reply, Exception):
        # As for a round that is read whole: only this round is left out, or the error is raised.
        round_or_damage("", reply)
        return None
    return _state(reply)


def _state(fields: Sequence[bytes | None]) -> _State | None:
    """The state in a reply to HMGET of `_INDEXED`; None where the round is gone, archived, or cannot be read."""
    opens_at_ms, closes_at_ms, closed, archived = fields
    if archived is not None:
        return None
    try:
        return int(opens_at_ms or b""), int(closes_at_ms or b""), closed == b"1"
    except ValueError:
        return None


def _has_left(fields: Sequence[bytes | None]) -> bool:
    """Whether a reply to HMGET of `_INDEXED` is that of a deleted or archived round."""
    return not any(fields) or fields[_INDEXED.index("archived")] is not None


def _scores(state: _State | None, now_ms: int) -> tuple[int, int | str]:
    """The scores of a round that is not in the index yet; one that cannot be read now never counts as over."""
    if state is None:
        return 0, _NEVER
    opens_at_ms, closes_at_ms, closed = state
    return opens_at_ms, min(closes_at_ms, now_ms) if closed else closes_at_ms


def _name(member: bytes) -> str:
    # Another program may have written bytes that are no text: only this name is passed over.
    return member.decode(errors="replace")
