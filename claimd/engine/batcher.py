"""The batches of one round and epoch. No timer: a lone claim leaves with the turn of the loop it came in, and while a
call is in flight the rest gathers, so that batches grow by themselves under load. First come, first served.

Must never drop a claim after it was sent: from then on only the server knows what became of it. A batch whose reply was
lost is asked again, as the identity is the idempotency key; but what is then refused may still be granted by the first
call, which nobody has seen the end of, so it is told as unknown.
"""

import asyncio
import itertools
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ldexp
from operator import attrgetter

from claimd.domain.outcomes import Decision, Outcome
from claimd.domain.rounds import FIRST_EPOCH
from claimd.engine.expected_wait import ExpectedWait
from claimd.metrics.counts import Counts
from claimd.store.errors import StoreRejected, StoreUnavailable
from claimd.store.ports import MAX_BATCH, ClaimStore

CALLS_IN_FLIGHT = 2
# A batch takes milliseconds. One that takes so long hangs, or the server is slow, where a second call does no harm.
_HANGING_SECONDS = 0.25

_FIRST_BACKOFF_SECONDS = 0.02
_MAX_BACKOFF_SECONDS = 0.25

_OVERLOADED = Decision(Outcome.OVERLOADED)
_UNAVAILABLE = Decision(Outcome.UNAVAILABLE)
_OUTCOME = attrgetter("outcome")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """A claim that would wait for longer than `max_wait_seconds` is refused at the door.

    `max_waiting` bounds the memory of those who wait. A claim that has waited for `deadline_seconds` is not sent any
    more, nor sent again.
    """

    max_wait_seconds: float = 1.0
    max_waiting: int = 100_000
    deadline_seconds: float = 4.0


# Who is told a decision. Called once, from the loop; must not block, and what it raises is logged and goes no further.
Deliver = Callable[[Decision], None]


# Identity, who is told, and since when it waits: a plain tuple, as one is made for every claim.
_Waiting = tuple[bytes, Deliver, float]


class Batcher:
    """Feeds the claims of one round to the store, in batches of at most MAX_BATCH."""

    def __init__(
        self,
        store: ClaimStore,
        round_id: str,
        counts: Counts,
        limits: BatchLimits,
        clock: Callable[[], float],
        epoch: int = FIRST_EPOCH,
    ) -> None:
        self._store = store
        self._round_id = round_id
        self._epoch = epoch
        self._counts = counts
        self._limits = limits
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count()
        self._expected_wait = ExpectedWait(CALLS_IN_FLIGHT)
        self._hanging: set[int] = set()
        self._scheduled = False

    def __len__(self) -> int:
        """Claims that wait to be sent."""
        return len(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether claims wait or are in flight."""
        return bool(self._waiting or self._calls)

    def submit(self, identity: bytes, deliver: Deliver) -> None:
        """Have one claim decided; `deliver` is told the decision, whatever happens."""
        now, waiting = self._clock(), self._waiting
        # Who finds nobody waiting is let in whatever is expected: somebody has to find out when the server is back.
        limits, ahead = self._limits, len(waiting)
        if ahead >= limits.max_waiting or (ahead and self._expected_wait.seconds(ahead, now) > limits.max_wait_seconds):
            self._turn_away(deliver)
            return
        waiting.append((identity, deliver, now))
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

        A second one where a whole batch waits, as then it costs nothing, or where the first hangs.
        """
        waiting, calls = len(self._waiting), len(self._calls)
        if not calls or not waiting:
            return waiting > 0
        if calls >= CALLS_IN_FLIGHT:
            return False
        return waiting >= MAX_BATCH or bool(self._hanging)

    def _sent(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._send()

    def _take(self) -> list[_Waiting]:
        waiting, too_old = self._waiting, self._clock() - self._limits.deadline_seconds
        late: list[_Waiting] = []
        while waiting and waiting[0][2] <= too_old:
            late.append(waiting.popleft())
        if late:
            self._deliver(late, [_OVERLOADED] * len(late))
        return [waiting.popleft() for _ in range(min(len(waiting), MAX_BATCH))]

    async def _decide(self, batch: list[_Waiting]) -> None:
        number, attempt = next(self._numbers), _Attempts(batch)
        self._expected_wait.begin(number, self._clock())
        hanging = self._loop.call_later(_HANGING_SECONDS, self._hangs, number)
        try:
            while attempt.claims and not await self._ask(attempt):
                await asyncio.sleep(attempt.backoff_seconds())
                self._give_up(attempt, self._clock() - self._limits.deadline_seconds)
        finally:
            # Also when a bug or a cancellation ends this call: nobody is left waiting for ever.
            hanging.cancel()
            self._hanging.discard(number)
            self._expected_wait.end(number)
            if attempt.claims:
                self._decided(attempt.claims, [_UNAVAILABLE] * len(attempt.claims))

    def _hangs(self, number: int) -> None:
        """That batch is on its way for far longer than calls take: those who wait need not wait for it."""
        self._hanging.add(number)
        self._send()

    async def _ask(self, attempt: "_Attempts") -> bool:
        """Have the server decide; False where it has to be asked again."""
        sent_at = self._clock()
        try:
            identities = [identity for identity, _, _ in attempt.claims]
            decisions = await self._store.claim(self._round_id, identities, self._epoch)
        except StoreUnavailable as error:
            self._expected_wait.failed(sent_at)
            self._counts.failed_calls += 1
            if attempt.failures == 0:
                _log.warning("a batch of %d of round %s has no answer: %s", len(attempt.claims), self._round_id, error)
            attempt.failed(error)
            return False
        now = self._clock()
        self._expected_wait.succeeded(now - sent_at, now)
        claims, attempt.claims = attempt.claims, []
        self._counts.batch_claims.observe(len(claims))
        self._counts.round_trip_seconds.observe(now - sent_at)
        self._decided(claims, attempt.certain(decisions))
        return True

    def _give_up(self, attempt: "_Attempts", too_old: float) -> None:
        """Tell those whose deadline has passed that nothing is known."""
        late = [claim for claim in attempt.claims if claim[2] <= too_old]
        if late:
            attempt.claims = [claim for claim in attempt.claims if claim[2] > too_old]
            _log.warning("%d claims of round %s are given up: their outcome is unknown", len(late), self._round_id)
            self._decided(late, [_UNAVAILABLE] * len(late))

    def _decided(self, claims: Sequence[_Waiting], decisions: Sequence[Decision]) -> None:
        self._deliver(claims, decisions)
        self._counts.latency_seconds.observe_ages(self._clock(), [since for _, _, since in claims])

    def _turn_away(self, deliver: Deliver) -> None:
        """As `_deliver`, for one: who is most in an overload must cost the least."""
        decision = _UNAVAILABLE if self._expected_wait.failing else _OVERLOADED
        self._counts.claims[self._round_id, decision.outcome] += 1
        try:
            deliver(decision)
        except Exception:
            _log.exception("a decision could not be delivered")

    def _deliver(self, claims: Sequence[_Waiting], decisions: Sequence[Decision]) -> None:
        for (_, deliver, _), decision in zip(claims, decisions, strict=True):
            try:
                deliver(decision)
            except Exception:
                _log.exception("a decision could not be delivered")
        for outcome, number in Counter(map(_OUTCOME, decisions)).items():
            self._counts.claims[self._round_id, outcome] += number


class _Attempts:
    """A batch on its way: the claims that are still to be decided, and what is known of the calls so far."""

    __slots__ = ("claims", "failures", "may_be_granted")

    def __init__(self, claims: list[_Waiting]) -> None:
        self.claims = claims
        self.failures = 0
        self.may_be_granted = False

    def failed(self, error: StoreUnavailable) -> None:
        """A call has no answer."""
        self.failures += 1
        self.may_be_granted |= not isinstance(error, StoreRejected)

    def backoff_seconds(self) -> float:
        """How long to wait before the next call: a reply that was lost on the way costs hardly any time."""
        return min(ldexp(_FIRST_BACKOFF_SECONDS, self.failures - 1), _MAX_BACKOFF_SECONDS)

    def certain(self, decisions: list[Decision]) -> list[Decision]:
        """What may be told: no refusal, where an earlier call may yet grant what was refused now."""
        if not self.may_be_granted:
            return decisions
        return [decision if decision.serial else _UNAVAILABLE for decision in decisions]
