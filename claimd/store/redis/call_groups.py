"""Calls of many rounds that come at the same time are sent in one write, so that they share an fsync of the server.

The claims of one round are one call, whatever their number; the claims of two hundred rounds are two hundred calls, and
each by itself costs a write, a read and, as the number of connections is bounded, a share of the server's fsyncs. A
call that finds no other in flight is sent at once, so a round by itself is not affected.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from claimd.store.errors import StoreUnavailable
from claimd.store.redis.script_calls import ScriptCall, ScriptCalls
from claimd.store.redis.scripts import Script

# In a larger group the first call would wait for its reply for as long as the last takes. Large calls gain nothing.
_MOST_CALLS = 64
_MOST_BYTES = 16 * 1024

# The reply of the script, and the replies to the commands that follow it.
_Result = tuple[list[Any], list[Any]]


class _Waiting(NamedTuple):
    call: ScriptCall
    followups: Sequence[Sequence[Any]]
    # The time at which it times out, by the clock of the event loop.
    until: float
    result: asyncio.Future[_Result]

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
        self._in_flight = 0
        # Whether the newest write had several calls: then the next call waits one event-loop iteration for others.
        self._grouping = False
        self._send_scheduled = False
        self._waiting: deque[_Waiting] = deque()
        self._groups: set[asyncio.Task[None]] = set()

    async def call_with_followups(
        self, names: Sequence[str], args: Sequence[str | bytes], followups: Sequence[Sequence[Any]]
    ) -> _Result:
        """See `ScriptCalls.call_with_followups`; the replies to `followups` may be shared with other calls."""
        if self._in_flight or self._grouping:
            return await self._call_in_group((names, args), followups)
        self._in_flight += 1
        try:
            return await self._calls.call_with_followups(self._script, names, args, followups)
        finally:
            self._in_flight -= 1
            self._send()

    async def _call_in_group(self, call: ScriptCall, followups: Sequence[Sequence[Any]]) -> _Result:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(call, followups, loop.time() + self._timeout_seconds, loop.create_future())
        self._waiting.append(waiting)
        if not self._send_scheduled:
            self._send_scheduled = True
            # Calls of other rounds come in this event-loop iteration, too.
            loop.call_soon(self._send)
        return await waiting.result

    def _send(self) -> None:
        """Send the waiting calls in groups, as far as connections are free."""
        self._send_scheduled = False
        while self._in_flight < self._at_once and (group := self._take()):
            self._grouping = len(group) > 1
            self._in_flight += 1
            call = asyncio.get_running_loop().create_task(self._call_group(group))
            self._groups.add(call)
            call.add_done_callback(self._groups.discard)

    def _take(self) -> list[_Waiting]:
        """Remove the next group from the queue; empty where no call waits."""
        group: list[_Waiting] = []
        size = 0
        while self._waiting and len(group) < _MOST_CALLS and (not group or size + self._waiting[0].size <= _MOST_BYTES):
            waiting = self._waiting.popleft()
            # A call that its caller has cancelled is not sent any more.
            if not waiting.result.done():
                size += waiting.size
                group.append(waiting)
        return group

    async def _call_group(self, group: list[_Waiting]) -> None:
        """Send a group, and give each caller its own reply or error."""
        # The first call waits longest, but for less than the timeout, as every call in flight ends by then.
        calls, followups, until = [waiting.call for waiting in group], group[0].followups, group[0].until
        results: list[Any]
        replies: list[Any] = []
        try:
            left_seconds = until - asyncio.get_running_loop().time()
            results, replies = await self._calls.call_together(self._script, calls, followups, left_seconds)
        except StoreUnavailable as error:
            # An error for each call, as a traceback grows with every caller that raises it.
            results = [type(error)(str(error)) for _ in group]
        except Exception as error:
            # A bug must not leave callers waiting for ever.
            results = [error] * len(group)
        finally:
            self._in_flight -= 1
        for waiting, each in zip(group, results, strict=True):
            if waiting.result.done():
                continue
            if isinstance(each, Exception):
                waiting.result.set_exception(each)
            else:
                waiting.result.set_result((each, replies))
        self._send()
