"""The batches of one kind, in the sequence in which the requests came: the claims of one round and epoch, or lookups.

There is no timer: a lone claim is sent at the end of the event-loop iteration that it came in, and claims that come
while a call is in flight gather for the next, so that batches grow by themselves under load.

A claim is never dropped after it was sent: from then on only the server knows its outcome. A batch without a reply is
sent again, as the identity is the idempotency key. A claim that the retry refuses may still be granted by the first
call, which may reach the server later, so it is reported as UNAVAILABLE.
"""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from claimd.domain.outcomes import Decision, Outcome
from claimd.engine.expected_wait import ExpectedWait
from claimd.store.errors import StoreRejected, StoreUnavailable
from claimd.store.ports import MAX_BATCH

CALLS_IN_FLIGHT = 2
# A batch takes milliseconds. A call that takes this long hangs, or the server is slow; a second call does no harm then.
_HANGING_SECONDS = 0.25

_FIRST_BACKOFF_SECONDS = 0.02
_MAX_BACKOFF_SECONDS = 0.25

_OVERLOADED = Decision(Outcome.OVERLOADED)
_UNAVAILABLE = Decision(Outcome.UNAVAILABLE)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Admission control rejects a claim that would wait for longer than `max_wait_seconds`.

    `max_waiting` is the largest number of waiting claims, which bounds their memory. A claim that is older than
    `deadline_seconds` is neither sent nor sent again.
    """

    max_wait_seconds: float = 1.0
    max_waiting: int = 100_000
    deadline_seconds: float = 4.0


# Takes the decision on a claim. Called once, from the event loop; must not block. What it raises is logged.
Deliver = Callable[[Decision], None]


# Identity, receiver of the decision, and the time since which the claim waits. A plain tuple, as one is made for every
# claim: a named one takes five times as long to make.
_Waiting = tuple[bytes, Deliver, float]
_SINCE: Final = 2


# Decides a batch: a decision for each identity, in the same order. Raises StoreUnavailable.
Decide = Callable[[Sequence[bytes]], Awaitable[list[Decision]]]


class BatchTally(Protocol):
    """Counts what becomes of the requests of a batcher. All times are in seconds."""

    def rejected(self, outcome: Outcome) -> None:
        """Count one request that was rejected before it waited."""
        ...

    def failed(self) -> None:
        """Count one call without a reply."""
        ...

    def replied(self, requests: int, seconds: float) -> None:
        """Count one call for so many requests, which took so long."""
        ...

    def decided(self, decisions: Sequence[Decision]) -> None:
        """Count requests that have their decisions."""
        ...

    def waited(self, now: float, since: Sequence[float]) -> None:
        """Count how long requests took that were sent; `since` is when each came, in ascending order."""
        ...


class Batcher:
    """Has requests decided by `decide`, at most MAX_BATCH in a call. `clock` is in seconds.

    `what` names the requests in the log, such as "claims of round r-1". `changes_nothing`: the calls only read, so the
    result of a retry is true whatever became of the call before it.
    """

    def __init__(
        self,
        decide: Decide,
        what: str,
        tally: BatchTally,
        limits: BatchLimits,
        clock: Callable[[], float],
        *,
        changes_nothing: bool = False,
    ) -> None:
        self._decide_batch = decide
        self._what = what
        self._tally = tally
        self._changes_nothing = changes_nothing
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
        """The number of claims that wait to be sent."""
        return len(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether any claim waits or is in flight."""
        return bool(self._waiting or self._calls)

    def submit(self, identity: bytes, deliver: Deliver) -> None:
        """Have one claim decided. `deliver` gets the decision, or OVERLOADED or UNAVAILABLE, in every case."""
        now, waiting = self._clock(), self._waiting
        # A claim that finds no other waiting is always admitted, to find out when the server is back.
        limits, ahead = self._limits, len(waiting)
        if ahead >= limits.max_waiting or (ahead and self._expected_wait.seconds(ahead, now) > limits.max_wait_seconds):
            self._reject(deliver)
            return
        waiting.append((identity, deliver, now))
        if not self._scheduled and self._may_send():
            self._scheduled = True
            self._loop.call_soon(self._send)

    async def drain(self) -> None:
        """Return when no claim waits and no call is in flight."""
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
                call.add_done_callback(self._call_ended)

    def _may_send(self) -> bool:
        """Whether a call may be sent now. One call at a time: larger batches save more than waiting for a call costs.

        A second call is sent where a full batch waits, as then it costs nothing, or where the first one hangs.
        """
        waiting, calls = len(self._waiting), len(self._calls)
        if not calls or not waiting:
            return waiting > 0
        if calls >= CALLS_IN_FLIGHT:
            return False
        return waiting >= MAX_BATCH or bool(self._hanging)

    def _call_ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._send()

    def _take(self) -> list[_Waiting]:
        """Remove the next batch from the queue, after rejecting the claims at its head that are past their deadline."""
        waiting, too_old = self._waiting, self._clock() - self._limits.deadline_seconds
        late: list[_Waiting] = []
        while waiting and waiting[0][_SINCE] <= too_old:
            late.append(waiting.popleft())
        if late:
            self._deliver(late, [_OVERLOADED] * len(late))
        return [waiting.popleft() for _ in range(min(len(waiting), MAX_BATCH))]

    async def _decide(self, batch: list[_Waiting]) -> None:
        """Call the server until every claim of the batch is decided or past its deadline, and report the decisions."""
        number, attempts = next(self._numbers), _Attempts(batch, changes_nothing=self._changes_nothing)
        self._expected_wait.begin(number, self._clock())
        hanging = self._loop.call_later(_HANGING_SECONDS, self._hangs, number)
        try:
            while attempts.claims and not await self._try_once(attempts):
                await asyncio.sleep(attempts.backoff_seconds())
                self._expire(attempts, self._clock() - self._limits.deadline_seconds)
        finally:
            # Also when a bug or a cancellation ends this call: no client waits for ever.
            hanging.cancel()
            self._hanging.discard(number)
            self._expected_wait.end(number)
            if attempts.claims:
                self._report(attempts.claims, [_UNAVAILABLE] * len(attempts.claims))

    def _hangs(self, number: int) -> None:
        """Note that a batch has been in flight for far longer than a call takes, so that another may be sent."""
        self._hanging.add(number)
        self._send()

    async def _try_once(self, attempts: "_Attempts") -> bool:
        """Call the server once. Returns whether it replied; if not, the batch has to be sent again."""
        sent_at = self._clock()
        try:
            identities = [identity for identity, _, _ in attempts.claims]
            decisions = await self._decide_batch(identities)
        except StoreUnavailable as error:
            self._expected_wait.failed(sent_at)
            self._tally.failed()
            if attempts.failures == 0:
                _log.warning("a batch of %d %s has no answer: %s", len(attempts.claims), self._what, error)
            attempts.failed(error)
            return False
        now = self._clock()
        self._expected_wait.succeeded(now - sent_at, now)
        claims, attempts.claims = attempts.claims, []
        self._tally.replied(len(claims), now - sent_at)
        self._report(claims, attempts.outcomes_safe_to_report(decisions))
        return True

    def _expire(self, attempts: "_Attempts", too_old: float) -> None:
        """Report UNAVAILABLE for the claims that have waited since `too_old` or longer: their outcome is unknown."""
        late = [claim for claim in attempts.claims if claim[_SINCE] <= too_old]
        if late:
            attempts.claims = [claim for claim in attempts.claims if claim[_SINCE] > too_old]
            _log.warning("%d %s are given up: their outcome is unknown", len(late), self._what)
            self._report(late, [_UNAVAILABLE] * len(late))

    def _report(self, claims: Sequence[_Waiting], decisions: Sequence[Decision]) -> None:
        """Deliver decisions on claims that were sent, and count how long each has taken."""
        self._deliver(claims, decisions)
        self._tally.waited(self._clock(), [since for _, _, since in claims])

    def _reject(self, deliver: Deliver) -> None:
        """Reject one claim before it waits. Not by `_deliver`: most claims of an overload end here, and cost little."""
        decision = _UNAVAILABLE if self._expected_wait.failing else _OVERLOADED
        self._tally.rejected(decision.outcome)
        try:
            deliver(decision)
        except Exception:
            _log.exception("a decision could not be delivered")

    def _deliver(self, claims: Sequence[_Waiting], decisions: Sequence[Decision]) -> None:
        """Hand each claim's decision to its receiver, and count the outcomes."""
        for (_, deliver, _), decision in zip(claims, decisions, strict=True):
            try:
                deliver(decision)
            except Exception:
                _log.exception("a decision could not be delivered")
        self._tally.decided(decisions)


class _Attempts:
    """A batch in flight: the claims that have no decision yet, and the failed calls so far.

    `outcome_unknown` is whether one of these calls may have been executed, or may yet be.
    """

    __slots__ = ("_changes_nothing", "claims", "failures", "outcome_unknown")

    def __init__(self, claims: list[_Waiting], *, changes_nothing: bool) -> None:
        self.claims = claims
        self.failures = 0
        self.outcome_unknown = False
        self._changes_nothing = changes_nothing

    def failed(self, error: StoreUnavailable) -> None:
        """Note a call without a reply."""
        self.failures += 1
        self.outcome_unknown |= not (self._changes_nothing or isinstance(error, StoreRejected))

    def backoff_seconds(self) -> float:
        """The pause before the next call. It doubles from a short one, so that one lost reply costs little time."""
        return min(_FIRST_BACKOFF_SECONDS * 2.0 ** (self.failures - 1), _MAX_BACKOFF_SECONDS)

    def outcomes_safe_to_report(self, decisions: list[Decision]) -> list[Decision]:
        """The decisions, with UNAVAILABLE for each refusal that an earlier call with unknown outcome may contradict."""
        if not self.outcome_unknown:
            return decisions
        return [decision if decision.serial else _UNAVAILABLE for decision in decisions]
