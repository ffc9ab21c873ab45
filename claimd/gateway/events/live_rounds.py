"""The rounds that are listened to in this process: a feed for each, and the bound on their listeners."""

import asyncio
import logging
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from claimd.contract import details
from claimd.contract.limits import COMMENT_SECONDS, MAX_LISTENERS
from claimd.contract.problems import Code
from claimd.domain.rounds import Round
from claimd.gateway.events.feed import RoundFeed
from claimd.gateway.events.listener import Listener
from claimd.gateway.events.write_pace import WritePace
from claimd.gateway.readings.round_readings import RoundReadings
from claimd.gateway.readings.shared_reading import SharedReading
from claimd.http.most_connections import most_connections
from claimd.http.problems import ProblemError, retry_later

_log = logging.getLogger(__name__)


def most_listeners(open_files: int) -> int:
    """How many may listen to a process at a time, with `open_files` as its limit of open files.

    At most half of its connections are streams: they stay for hours, and claims need the others.
    """
    return min(MAX_LISTENERS, most_connections(open_files) // 2)


@dataclass(frozen=True, slots=True)
class EventLimits:
    """How many may listen at a time, and how many seconds a stream may be silent."""

    listeners: int = field(default_factory=lambda: most_listeners(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
    comment_seconds: float = COMMENT_SECONDS


class LiveRounds:
    """The listeners of one process. A round is read only while it has a listener."""

    def __init__(self, readings: RoundReadings, limits: EventLimits) -> None:
        self._readings = readings
        self._limits = limits
        self._pace = WritePace(asyncio.get_running_loop().time)
        self._feeds: dict[str, RoundFeed] = {}
        self._running: dict[RoundFeed, asyncio.Task[None]] = {}
        self._stopping = False
        self.listeners = 0
        """How many listen now."""

    @property
    def round_ids(self) -> set[str]:
        """The rounds that have a listener."""
        return set(self._feeds)

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a listener inside the block. Raises ProblemError, 503, where no more are admitted."""
        if self._stopping:
            raise ProblemError(retry_later(Code.UNAVAILABLE, details.STOPPING()))
        if self.listeners >= self._limits.listeners:
            raise ProblemError(retry_later(Code.OVERLOADED, details.TOO_MANY_LISTENERS()))
        self.listeners += 1
        try:
            yield
        finally:
            self.listeners -= 1

    async def follow(self, item: Round, reading: SharedReading, listener: Listener) -> None:
        """Write the events of a round to a listener until it leaves, the round is gone, or the gateway stops.

        `reading` is the newest one of the round `item`.
        """
        feed = self._feeds.get(item.id)
        if feed is None:
            feed = self._feeds[item.id] = RoundFeed(
                self._readings, self._pace, item, reading, self._limits.comment_seconds
            )
            self._running[feed] = asyncio.create_task(self._run(item.id, feed))
        try:
            await feed.follow(listener)
        finally:
            if not feed.has_listeners:
                self._forget(item.id, feed)
                self._running.pop(feed).cancel()

    async def stop(self, _app: Any = None) -> None:
        """End all streams, and admit no listener from now on. A handler of `Application.on_shutdown`."""
        self._stopping = True
        await asyncio.gather(*(feed.end() for feed in tuple(self._feeds.values())))

    async def _run(self, round_id: str, feed: RoundFeed) -> None:
        try:
            await feed.run()
        except Exception:
            # A bug. The clients come back, and get a feed that works.
            _log.exception("the events of a round have ended")
        finally:
            self._forget(round_id, feed)
            await feed.end()

    def _forget(self, round_id: str, feed: RoundFeed) -> None:
        """Give later listeners another feed than this one."""
        if self._feeds.get(round_id) is feed:
            del self._feeds[round_id]
