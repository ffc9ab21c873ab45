"""Calls that come at the same moment leave together: what many rounds ask for at once shares a write and an fsync.

A round's claims are one call, whatever their number; those of two hundred rounds are two hundred calls, each of which
would cost a write, a read and, as only so many are under way at once, a share of the server's fsyncs. A call that is
alone leaves at once: one round by itself is not affected.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from claimd.store.errors import StoreUnavailable
from claimd.store.redis.script_calls import ScriptCall, ScriptCalls
from claimd.store.redis.scripts import Script

# More would keep the first from its answer for as long as the last takes. Large calls gain nothing by company.
_MOST_CALLS = 64
_MOST_BYTES = 16 * 1024

_Told = tuple[list[Any], list[Any]]


class _Waiting(NamedTuple):
    call: ScriptCall
    after: Sequence[Sequence[Any]]
    # When it is given up, by the clock of the loop.
    until: float
    told: asyncio.Future[_Told]

    @property
    def size(self) -> int:
        return sum(map(len, self.call[1]))


class CallGroups:
    """Calls of `script` over `calls`: at most `at_once` writes are in flight, and no call takes `timeout_seconds`."""

    def __init__(self, calls: ScriptCalls, script: Script, at_once: int, timeout_seconds: float) -> None:
        self._calls = calls
        self._script = script
        self._at_once = at_once
        self._timeout_seconds = timeout_seconds
        self._under_way = 0
        # Whether the newest write had several calls: then the next call waits for others, for one turn of the loop.
        self._company = False
        self._leaving = False
        self._waiting: deque[_Waiting] = deque()
        self._groups: set[asyncio.Task[None]] = set()

    async def call_with_followups(
        self, names: Sequence[str], args: Sequence[str | bytes], after: Sequence[Sequence[Any]]
    ) -> _Told:
        """See `ScriptCalls.call_with_followups`; the replies to `after` may be shared with other calls."""
        if self._under_way or self._company:
            return await self._in_company((names, args), after)
        self._under_way += 1
        try:
            return await self._calls.call_with_followups(self._script, names, args, after)
        finally:
            self._under_way -= 1
            self._leave()

    async def _in_company(self, call: ScriptCall, after: Sequence[Sequence[Any]]) -> _Told:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(call, after, loop.time() + self._timeout_seconds, loop.create_future())
        self._waiting.append(waiting)
        if not self._leaving:
            self._leaving = True
            # Those of other rounds come in this turn of the loop, too.
            loop.call_soon(self._leave)
        return await waiting.told

    def _leave(self) -> None:
        """Send what waits, as far as connections are free."""
        self._leaving = False
        while self._under_way < self._at_once and (group := self._take()):
            self._company = len(group) > 1
            self._under_way += 1
            carrying = asyncio.get_running_loop().create_task(self._carry(group))
            self._groups.add(carrying)
            carrying.add_done_callback(self._groups.discard)

    def _take(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while self._waiting and len(group) < _MOST_CALLS and (not group or size + self._waiting[0].size <= _MOST_BYTES):
            waiting = self._waiting.popleft()
            # One that its caller gave up is not sent any more.
            if not waiting.told.done():
                size += waiting.size
                group.append(waiting)
        return group

    async def _carry(self, group: list[_Waiting]) -> None:
        # The first one waits longest. It waited for less than the timeout, as all that is under way ends by then.
        calls, after, until = [waiting.call for waiting in group], group[0].after, group[0].until
        told: list[Any]
        others: list[Any] = []
        try:
            left_seconds = until - asyncio.get_running_loop().time()
            told, others = await self._calls.call_together(self._script, calls, after, left_seconds)
        except StoreUnavailable as error:
            # One for each, as a traceback grows with every caller that raises it.
            told = [type(error)(str(error)) for _ in group]
        except Exception as error:
            # A bug must not leave callers waiting for ever.
            told = [error] * len(group)
        finally:
            self._under_way -= 1
        for waiting, each in zip(group, told, strict=True):
            if waiting.told.done():
                continue
            if isinstance(each, Exception):
                waiting.told.set_exception(each)
            else:
                waiting.told.set_result((each, others))
        self._leave()
