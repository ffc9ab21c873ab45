"""The batches of one round. No timer: a lone claim leaves with the turn of the loop it came in, and while a call is in
flight the rest gathers, so that batches grow by themselves under load. First come, first served.

Must never drop a claim after it was sent: from then on only the server knows what became of it.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from claimd.domain.outcomes import Decision, Outcome
from claimd.metrics.counts import Counts
from claimd.store.errors import StoreError
from claimd.store.protocol import MAX_BATCH, Store

CALLS_IN_FLIGHT = 2

_OVERLOADED = Decision(Outcome.OVERLOADED)
_UNAVAILABLE = Decision(Outcome.UNAVAILABLE)
_OUTCOME = attrgetter("outcome")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """`max_waiting` claims may wait; one that has waited for `deadline_seconds` is not sent any more."""

    max_waiting: int = 16_384
    deadline_seconds: float = 4.0


# Who is told a decision. Called once, from the loop; must not block, and what it raises is logged and goes no further.
Deliver = Callable[[Decision], None]


# Identity, who is told, and since when it waits: a plain tuple, as one is made for every claim.
_Waiting = tuple[bytes, Deliver, float]


class Batcher:
    """Feeds the claims of one round to the store, in batches of at most MAX_BATCH."""

    def __init__(
        self, store: Store, round_id: str, counts: Counts, limits: BatchLimits, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._round_id = round_id
        self._counts = counts
        self._limits = limits
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._scheduled = False

    def __len__(self) -> int:
        """Claims that wait to be sent."""
        return len(self._waiting)

    def submit(self, identity: bytes, deliver: Deliver) -> None:
        """Have one claim decided; `deliver` is told the decision, whatever happens."""
        claim = (identity, deliver, self._clock())
        if len(self._waiting) >= self._limits.max_waiting:
            self._refuse(claim)
            return
        self._waiting.append(claim)
        if not self._scheduled and self._may_send():
            self._scheduled = True
            self._loop.call_soon(self._send)

    async def drain(self) -> None:
        """Return when nothing waits and nothing is in flight."""
        while self._waiting or self._calls:
            if self._calls:
                await asyncio.wait(self._calls)
            else:
                await asyncio.sleep(0)

    def _send(self) -> None:
        self._scheduled = False
        while self._may_send():
            batch = self._take()
            if batch:
                call = self._loop.create_task(self._decide(batch))
                self._calls.add(call)
                call.add_done_callback(self._sent)

    def _may_send(self) -> bool:
        """One call at a time: what it saves the server and us is more than waiting for it costs.

        A second one where a whole batch waits: then it costs nothing, and a call that hangs does not stop the rest.
        """
        if not self._calls:
            return bool(self._waiting)
        return len(self._waiting) >= MAX_BATCH and len(self._calls) < CALLS_IN_FLIGHT

    def _sent(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._send()

    def _take(self) -> list[_Waiting]:
        waiting, too_old = self._waiting, self._clock() - self._limits.deadline_seconds
        while waiting and waiting[0][2] <= too_old:
            self._refuse(waiting.popleft())
        return [waiting.popleft() for _ in range(min(len(waiting), MAX_BATCH))]

    async def _decide(self, batch: list[_Waiting]) -> None:
        decisions = [_UNAVAILABLE] * len(batch)
        sent_at = self._clock()
        try:
            decisions = await self._store.claim(self._round_id, [identity for identity, _, _ in batch])
        except StoreError as error:
            _log.warning("a batch of %d claims of round %s has no answer: %s", len(batch), self._round_id, error)
        finally:
            # Also when a bug or a cancellation ends this call: nobody is left waiting for ever.
            _deliver(batch, decisions)
            self._count(batch, decisions, sent_at)

    def _count(self, batch: list[_Waiting], decisions: list[Decision], sent_at: float) -> None:
        now, counts, round_id = self._clock(), self._counts, self._round_id
        counts.batch_claims.observe(len(batch))
        counts.round_trip_seconds.observe(now - sent_at)
        counts.latency_seconds.observe_ages(now, [since for _, _, since in batch])
        for outcome, number in Counter(map(_OUTCOME, decisions)).items():
            counts.claims[round_id, outcome] += number

    def _refuse(self, claim: _Waiting) -> None:
        self._counts.claims[self._round_id, Outcome.OVERLOADED] += 1
        _deliver((claim,), (_OVERLOADED,))


def _deliver(claims: Sequence[_Waiting], decisions: Sequence[Decision]) -> None:
    for (_, deliver, _), decision in zip(claims, decisions, strict=True):
        try:
            deliver(decision)
        except Exception:
            _log.exception("a decision could not be delivered")
