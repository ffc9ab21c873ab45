"""Reads one round for all its listeners, four times a second, and writes to them what has changed.

Reading and writing are two loops, and between them is one value: the newest event. A change of status by the clock
alone (opening, closing) is published at its moment. While the server is away the streams stay open, with comments.
"""

import asyncio
import contextlib
from typing import Final

from claimd.contract.limits import EVENT_SECONDS
from claimd.domain.rounds import Round
from claimd.gateway.events.encoding import RoundEvent
from claimd.gateway.events.groups import Group, Groups
from claimd.gateway.events.listener import Listener
from claimd.gateway.events.write_pace import WritePace
from claimd.gateway.readings.round_readings import RoundReadings
from claimd.gateway.readings.shared_reading import SharedReading
from claimd.store.errors import StoreUnavailable

# The server's clock is known to a millisecond, and a timer may be early by one.
_CLOCK_SLACK_SECONDS: Final = 0.002
_BETWEEN_ENDS_SECONDS: Final = 0.001


class RoundFeed:
    """The listeners of one round in this process, and the newest event for them."""

    def __init__(
        self, readings: RoundReadings, pace: WritePace, item: Round, reading: SharedReading, comment_seconds: float
    ) -> None:
        """`reading` is the newest one of the round `item`; the first event is made from it."""
        self._readings, self._pace = readings, pace
        self._item, self._reading = item, reading
        self._groups = Groups(comment_seconds)
        self._clock = asyncio.get_running_loop().time
        self._changed = asyncio.Event()
        self._event = _event_of(item, reading)

    async def follow(self, listener: Listener) -> None:
        """Serve a listener until it leaves or its stream ends."""
        group = self._groups.add(listener, self._event, self._clock())
        try:
            await listener.wait_until_ended()
        finally:
            self._groups.remove(group, listener)

    @property
    def has_listeners(self) -> bool:
        """Whether there is a listener at present."""
        return len(self._groups) > 0

    async def run(self) -> None:
        """Read and write until the round is gone: deleted or archived."""
        jobs = {asyncio.create_task(self._read_until_gone()), asyncio.create_task(self._keep_writing())}
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            for job in done:
                job.result()
        finally:
            for job in jobs:
                job.cancel()

    async def end(self) -> None:
        """End all streams, some at a time; add no listener from now on."""
        for group in self._groups:
            for listener in tuple(group.listeners):
                listener.end()
            await asyncio.sleep(_BETWEEN_ENDS_SECONDS)

    async def _read_until_gone(self) -> None:
        while True:
            await asyncio.sleep(_pause_seconds(self._item, self._reading.now_ms()))
            # A server that is away changes nothing but the time.
            with contextlib.suppress(StoreUnavailable):
                reading = await self._readings.read(self._item.id)
                if reading.round is None:
                    return
                self._item, self._reading = reading.round, reading
            event = _event_of(self._item, self._reading)
            if event.tag != self._event.tag:
                self._event = event
                self._changed.set()

    async def _keep_writing(self) -> None:
        while True:
            self._changed.clear()
            all_taken = True
            for group in self._groups:
                if group.wants(self._event, self._clock()):
                    all_taken &= await self._write(group)
            now = self._clock()
            seconds = max(0.0, self._groups.next_comment_at(now) - now) if all_taken else EVENT_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()

    async def _write(self, group: Group) -> bool:
        """Write to a group when its turn has come; whether all of it has the newest event."""
        await asyncio.sleep(max(0.0, group.next_at - self._clock()))
        await self._pace.turn(len(group.listeners))
        return group.write(self._event, self._clock())


def _event_of(item: Round, reading: SharedReading) -> RoundEvent:
    document = reading.document(item, reading.now_ms())
    return RoundEvent(document.etag, document.without_time)


def _pause_seconds(item: Round, now_ms: int) -> float:
    """How long to wait before the next reading: at least as long as two events are apart.

    A moment at which the round opens or closes is not stepped over: events before it make way for the one at it.
    """
    moments_ms = (item.definition.opens_at_ms, item.definition.closes_at_ms)
    left_seconds = min((moment - now_ms for moment in moments_ms if moment > now_ms), default=0) / 1000
    if left_seconds < 2 * EVENT_SECONDS:
        return max(EVENT_SECONDS, left_seconds + _CLOCK_SLACK_SECONDS)
    return EVENT_SECONDS
