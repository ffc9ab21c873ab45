"""Shares readings of rounds, so that a crowd of any size asks the server a few dozen times a second.

A round that was read within the last 50 ms is not read again. What is asked for meanwhile is read in one exchange, one
at a time, at most 40 a second. A request is refused only because of a reading that began after it came: a round that is
not there may have been created since, and eligibility may have been edited. So nothing is remembered about rounds that
are not there, and a client who names many of them costs a share of the next exchange.
"""

import asyncio
import logging
from collections.abc import Callable
from itertools import islice
from typing import Final

from claimd.gateway.readings.pace import Pace
from claimd.gateway.readings.server_clock import ServerClock
from claimd.gateway.readings.shared_reading import SharedReading
from claimd.store.errors import StoreDamaged, StoreUnavailable
from claimd.store.ports import Reading, RoundReader

FRESH_SECONDS: Final = 0.05
_EXCHANGES_PER_SECOND: Final = 40
# How many may follow each other at once after a pause.
_BURST: Final = 20
# A round may have a few hundred KiB of eligibility.
_MOST_ROUNDS: Final = 64
# Rounds that are remembered at most; older readings are worthless after 50 ms.
_MOST_FRESH: Final = 1024

_log = logging.getLogger(__name__)

# Takes a reading, or why there is none. Called once, from the event loop; must not block or raise.
Deliver = Callable[[SharedReading | StoreUnavailable], None]


class RoundReadings:
    """The readings of one process. Must be made inside a running event loop."""

    def __init__(self, rounds: RoundReader, clock: Callable[[], float] | None = None) -> None:
        """`clock` gives seconds that never go back; by default it is that of the event loop."""
        self._rounds = rounds
        self._loop = asyncio.get_running_loop()
        self._clock = clock or self._loop.time
        self._server_clock = ServerClock(self._clock)
        self._fresh: dict[str, SharedReading] = {}
        # Who waits for a reading that has not begun, and who asked for one while it was under way.
        self._wanted: dict[str, list[Deliver]] = {}
        self._late: dict[str, list[Deliver]] = {}
        self._exchange: asyncio.Task[None] | None = None
        self._scheduled = False
        self._pace = Pace(self._clock, _EXCHANGES_PER_SECOND, _BURST)

    def fresh(self, round_id: str) -> SharedReading | None:
        """The round as it was at most 50 ms ago; None where it has to be read."""
        reading = self._fresh.get(round_id)
        return reading if reading is not None and self._clock() - reading.read_at < FRESH_SECONDS else None

    async def read(self, round_id: str) -> SharedReading:
        """The round as it was at most 50 ms ago, or as it is now. Raises StoreUnavailable."""
        return self.fresh(round_id) or await self._awaited(round_id, self.submit)

    async def read_anew(self, round_id: str) -> SharedReading:
        """The round, by a reading that begins after this call. Raises StoreUnavailable."""
        return await self._awaited(round_id, self.submit_anew)

    def submit(self, round_id: str, deliver: Deliver) -> None:
        """Deliver the round, by the reading that is under way or by the next one."""
        late = self._late.get(round_id)
        if late is not None:
            late.append(deliver)
        else:
            self.submit_anew(round_id, deliver)

    def submit_anew(self, round_id: str, deliver: Deliver) -> None:
        """Deliver the round, by a reading that begins after this call."""
        wanted = self._wanted.get(round_id)
        if wanted is not None:
            wanted.append(deliver)
            return
        self._wanted[round_id] = [deliver]
        self._schedule()

    def _schedule(self) -> None:
        """Have the next exchange begin when its turn has come: in this event-loop iteration, after a pause."""
        if self._scheduled or self._exchange is not None or not self._wanted:
            return
        self._scheduled = True
        wait_seconds = self._pace.turn()
        if wait_seconds > 0:
            self._loop.call_later(wait_seconds, self._begin)
        else:
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._scheduled = False
        round_ids = list(islice(self._wanted, _MOST_ROUNDS))
        wanted = {round_id: self._wanted.pop(round_id) for round_id in round_ids}
        self._late = {round_id: [] for round_id in round_ids}
        self._exchange = self._loop.create_task(self._read(wanted))

    async def _read(self, wanted: dict[str, list[Deliver]]) -> None:
        sent_at = self._clock()
        results: list[Reading | StoreDamaged] | list[StoreUnavailable]
        try:
            results = await self._rounds.readings(list(wanted))
        except StoreUnavailable as error:
            _log.warning("%d rounds could not be read: %s", len(wanted), error)
            results = [error] * len(wanted)
        except Exception:
            # A bug must not leave requests waiting for ever.
            _log.exception("rounds could not be read")
            results = [StoreUnavailable("rounds could not be read")] * len(wanted)
        received_at = self._clock()
        self._exchange, late, self._late = None, self._late, {}
        self._forget_old(received_at)
        for (round_id, delivers), result in zip(wanted.items(), results, strict=True):
            self._deliver(round_id, delivers, late[round_id], result, sent_at, received_at)
        self._schedule()

    def _deliver(
        self,
        round_id: str,
        wanted: list[Deliver],
        late: list[Deliver],
        result: Reading | StoreUnavailable,
        sent_at: float,
        received_at: float,
    ) -> None:
        delivered: SharedReading | StoreUnavailable
        if isinstance(result, StoreUnavailable):
            delivered = result
        else:
            self._server_clock.observe(result.now_ms, sent_at, received_at)
            delivered = SharedReading(result, sent_at, self._server_clock)
            if delivered.round is not None:
                self._fresh[round_id] = delivered
            elif late:
                # It may have been created after the reading and before they asked.
                self._wanted.setdefault(round_id, []).extend(late)
                late = []
        for deliver in (*wanted, *late):
            deliver(delivered)

    def _forget_old(self, now: float) -> None:
        if len(self._fresh) >= _MOST_FRESH:
            self._fresh = {
                round_id: reading for round_id, reading in self._fresh.items() if now - reading.read_at < FRESH_SECONDS
            }

    async def _awaited(self, round_id: str, submit: Callable[[str, Deliver], None]) -> SharedReading:
        delivered: asyncio.Future[SharedReading] = self._loop.create_future()

        def deliver(result: SharedReading | StoreUnavailable) -> None:
            if delivered.cancelled():
                return
            if isinstance(result, StoreUnavailable):
                # An error of its own: a traceback grows with every caller that raises it.
                delivered.set_exception(type(result)(str(result)))
            else:
                delivered.set_result(result)

        submit(round_id, deliver)
        return await delivered
