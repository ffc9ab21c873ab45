"""The server and the network to it: the model of the store, behind every failure that `ClaimStore` allows.

The model decides; nothing here knows what a right decision is. A connection keeps the promises of `ClaimStore`: without
an answer within `CALL_SECONDS` it raises StoreUnavailable, and StoreRejected only if the call never has an effect.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from random import Random
from typing import Any, TypeVar

from claimd.domain.outcomes import Decision
from claimd.domain.rounds import FIRST_EPOCH
from claimd.store.errors import StoreRejected, StoreUnavailable
from claimd.store.memory import MemoryStore
from tests.simulation.history import Call, History
from tests.simulation.loop import SimulatedLoop
from tests.simulation.scenario import Fate, Scenario, Trouble

# The timeout of the real store. Repeated here, as the longest wait for an answer follows from it.
CALL_SECONDS = 2.0
# The longest round trip of a call in the calm.
CALM_CALL_SECONDS = 0.02

UNFORESEEN = "an error that the engine does not expect"

_EPOCH_MS = 1_770_000_000_000

Reply = asyncio.Future[list[Decision]]
Result = TypeVar("Result")


class Server:
    """The server of all gateways of a run."""

    def __init__(self, loop: SimulatedLoop, rng: Random, scenario: Scenario, history: History) -> None:
        self._loop = loop
        self._rng = rng
        self._scenario = scenario
        self._history = history
        self._clock_offset_ms = 0
        self._gone: Trouble | None = None
        self._gone_until = 0.0
        self._stalled_until = 0.0
        self._calm = False
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._waiting_for_reply: dict[int, Reply] = {}
        self._in_flight: Counter[tuple[int, str]] = Counter()
        self.model = MemoryStore(self.now_ms)

    def now_ms(self) -> int:
        """The clock of the server in milliseconds since 1970, which troubles set back and forth."""
        return _EPOCH_MS + int(self._loop.time() * 1000) + self._clock_offset_ms

    async def wait_until_idle(self) -> None:
        """Return when no call is under way; one that its caller has given up may be for long."""
        await self._idle.wait()

    def begin_trouble(self, trouble: Trouble, seconds: float) -> None:
        """Begin a trouble that lasts for `seconds`."""
        self._history.note("trouble", trouble.value, f"{seconds:.3f} s")
        self._history.met[trouble.value] += 1
        until = self._loop.time() + seconds
        if trouble in (Trouble.CRASH, Trouble.DEAF):
            self._gone, self._gone_until = trouble, until
            if trouble is Trouble.CRASH:
                for reply in list(self._waiting_for_reply.values()):
                    _fail(reply, StoreUnavailable("the connection was reset"))
        elif trouble is Trouble.STALL:
            self._stalled_until = until
        else:
            # A second of trouble is a step of a minute, so that the clock skips whole windows.
            step_ms = int(seconds * 60_000)
            self._clock_offset_ms += step_ms if trouble is Trouble.CLOCK_FORWARD else -step_ms

    def calm_down(self) -> None:
        """End all faults; calls that are under way keep their fate."""
        self._calm = True
        self._gone_until = self._stalled_until = 0.0
        self._history.note("calm", "all faults end")

    async def claim(self, gateway: int, round_id: str, identities: Sequence[bytes]) -> list[Decision]:
        """See `ClaimStore.claim`; for one gateway."""
        lane = gateway, round_id
        self._in_flight[lane] += 1
        call = self._history.record_call(
            gateway, round_id, asyncio.current_task(), identities, in_flight=self._in_flight[lane]
        )
        reply: Reply = self._loop.create_future()
        self._waiting_for_reply[call.number] = reply
        timeout = self._loop.call_later(CALL_SECONDS, _fail, reply, StoreUnavailable("no answer in time"))
        self._send(call, reply)
        try:
            decisions = await reply
        except Exception as error:
            call.error = f"{type(error).__name__}: {error}"
            self._history.note("fails", call.number, call.error)
            raise
        else:
            call.answered = True
            self._history.note("answers", call.number)
            return decisions
        finally:
            timeout.cancel()
            call.ended = self._history.now()
            del self._waiting_for_reply[call.number]
            self._in_flight[lane] -= 1

    def _send(self, call: Call, reply: Reply) -> None:
        if self._loop.time() < self._gone_until:
            if self._gone is Trouble.CRASH:
                self._loop.call_later(self._travel_seconds(), _fail, reply, StoreRejected("connection refused"))
            return
        fate = self._draw_fate()
        if fate is not Fate.ANSWERED:
            self._history.met[fate.value] += 1
            self._history.note("fate", call.number, fate.value)
        _WAYS[fate](self, call, reply)

    def _draw_fate(self) -> Fate:
        if not self._calm:
            for fate, rate in self._scenario.rates.items():
                if self._rng.random() < rate:
                    return fate
        return Fate.ANSWERED

    def _travel_seconds(self) -> float:
        if self._calm:
            return CALM_CALL_SECONDS / 2 * self._rng.random()
        return min(self._rng.expovariate(1.0) * self._scenario.request_seconds, CALL_SECONDS / 4)

    def _answered(self, call: Call, reply: Reply) -> None:
        self._arrive_after(self._travel_seconds(), call, reply)

    def _slow(self, call: Call, reply: Reply) -> None:
        self._arrive_after(self._rng.uniform(0.05, CALL_SECONDS), call, reply)

    def _lost(self, call: Call, reply: Reply) -> None:
        self._lose_soon(reply)

    def _reply_lost(self, call: Call, reply: Reply) -> None:
        self._arrive_after(self._travel_seconds(), call, None)
        self._lose_soon(reply)

    def _refused(self, call: Call, reply: Reply) -> None:
        error = StoreRejected(self._rng.choice(("OOM: the server is full", "LOADING", "MISCONF", "not connected")))
        self._loop.call_later(self._travel_seconds(), _fail, reply, error)

    def _late(self, call: Call, reply: Reply) -> None:
        self._arrive_after(self._rng.uniform(0.1, 5.0 * CALL_SECONDS), call, None)
        self._lose_soon(reply)

    def _twice(self, call: Call, reply: Reply) -> None:
        for answers in self._rng.choice(((True, False), (False, True))):
            self._arrive_after(self._travel_seconds() * self._rng.choice((1, 50)), call, reply if answers else None)

    def _bug(self, call: Call, reply: Reply) -> None:
        if self._rng.random() < 0.5:
            self._arrive_after(self._travel_seconds(), call, None)
        self._loop.call_later(self._travel_seconds(), _fail, reply, RuntimeError(UNFORESEEN))

    def _lose_soon(self, reply: Reply) -> None:
        """Fail the reply: soon, by a closed connection, or later, by the timeout."""
        if self._rng.random() < 0.6:
            self._loop.call_later(self._travel_seconds(), _fail, reply, StoreUnavailable("the connection was reset"))

    def _arrive_after(self, seconds: float, call: Call, reply: Reply | None) -> None:
        self._under_way += 1
        self._idle.clear()
        self._loop.call_later(seconds, self._arrive, call, reply)

    def _arrive(self, call: Call, reply: Reply | None) -> None:
        now = self._loop.time()
        if now < self._stalled_until:
            self._loop.call_at(self._stalled_until, self._arrive, call, reply)
            return
        self._under_way -= 1
        if not self._under_way:
            self._idle.set()
        if now < self._gone_until:
            return
        decisions = run_at_once(self.model.claim(call.round_id, call.identities))
        self._history.record_decisions(call, decisions)
        if reply is not None:
            self._loop.call_later(self._travel_seconds(), _answer, reply, decisions)


_WAYS = {
    Fate.ANSWERED: Server._answered,
    Fate.SLOW: Server._slow,
    Fate.LOST: Server._lost,
    Fate.REPLY_LOST: Server._reply_lost,
    Fate.REFUSED: Server._refused,
    Fate.LATE: Server._late,
    Fate.TWICE: Server._twice,
    Fate.BUG: Server._bug,
}


class Connection:
    """The store of one gateway. The engine uses only its `claim`."""

    def __init__(self, server: Server, gateway: int) -> None:
        self._server = server
        self._gateway = gateway

    async def claim(self, round_id: str, identities: Sequence[bytes], epoch: int) -> list[Decision]:
        """See `ClaimStore.claim`. The epoch is always the first, as no simulated edit changes eligibility."""
        assert epoch == FIRST_EPOCH
        return await self._server.claim(self._gateway, round_id, identities)


def run_at_once(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine of the model, which never waits, to its end in one step of the simulation."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("the model of the store waited for something")


def _fail(reply: Reply, error: Exception) -> None:
    if not reply.done():
        reply.set_exception(error)


def _answer(reply: Reply, decisions: list[Decision]) -> None:
    if not reply.done():
        reply.set_result(decisions)
