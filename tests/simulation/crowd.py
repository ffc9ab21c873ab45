"""The clients: single claims, bursts, crowds larger than a batch, retries and cancelled claims.

A client may retry from within the callback that delivers its answer, as a pipelined request does; or it is gone, so
that the callback raises.
"""

import asyncio
from random import Random

from claimd.domain.outcomes import Decision
from tests.simulation.gateway import Gateway
from tests.simulation.history import UNKNOWN, History
from tests.simulation.loop import SimulatedLoop
from tests.simulation.scenario import Scenario

# The longest pause before a retry: so long after the storm the last claim has arrived.
LAST_ASK_SECONDS = 3.0

# Identities from this number on are new: they have never claimed before.
_FIRST_OF_CROWDS = 1_000_000


class Crowd:
    """All clients of a run. The number of retries is bounded."""

    def __init__(
        self, loop: SimulatedLoop, rng: Random, scenario: Scenario, history: History, gateways: list[Gateway]
    ) -> None:
        self._loop = loop
        self._rng = rng
        self._scenario = scenario
        self._history = history
        self._gateways = gateways
        self._next_identity = _FIRST_OF_CROWDS
        self._repeats_left = 400
        self._tasks: list[asyncio.Task[Decision]] = []

    def schedule(self) -> None:
        """Schedule all gatherings and crowds of the scenario."""
        for at, size in self._scenario.gatherings:
            self._loop.call_at(at, self._gather, size)
        for at, size in self._scenario.crowds:
            self._loop.call_at(at, self._rush, size)

    def new_identity(self) -> bytes:
        """An identity that has never claimed before."""
        self._next_identity += 1
        return self._next_identity.to_bytes(16, "big")

    def _gather(self, size: int) -> None:
        """`size` claims by few identities, at once or within half a second."""
        spread = self._rng.choice((0.0, 0.02, 0.5))
        round_id = self._rng.choice(self._scenario.round_ids)
        for _ in range(size):
            identity = self._rng.randint(1, self._scenario.identity_count).to_bytes(16, "big")
            if self._rng.random() < 0.05:
                self._ask_and_wait(round_id, identity)
            elif spread:
                self._loop.call_later(spread * self._rng.random(), self._ask, round_id, identity)
            else:
                self._ask(round_id, identity)

    def _rush(self, size: int) -> None:
        """More than a batch at once, at one gateway, for one round, so that two calls are in flight."""
        self._history.met["a crowd of more than a batch"] += 1
        round_id = self._rng.choice(self._scenario.round_ids)
        gateway = self._rng.choice(self._gateways)
        for _ in range(size):
            gateway.submit_claim(round_id, self.new_identity(), _ignore_answer)

    def _ask(self, round_id: str, identity: bytes) -> None:
        self._rng.choice(self._gateways).submit_claim(
            round_id, identity, lambda decision: self._on_answer(round_id, identity, decision)
        )

    def _ask_and_wait(self, round_id: str, identity: bytes) -> None:
        """Claim by `ClaimEngine.claim`; half of the claims are cancelled before their answer."""
        task = self._loop.create_task(self._rng.choice(self._gateways).claim(round_id, identity))
        self._tasks.append(task)
        if self._rng.random() < 0.5:
            self._history.met["a claim cancelled by its caller"] += 1
            self._loop.call_later(self._rng.expovariate(20.0), task.cancel)

    def _on_answer(self, round_id: str, identity: bytes, decision: Decision) -> None:
        self._maybe_retry(round_id, identity, decision)
        if self._rng.random() < self._scenario.gone_listeners:
            self._history.met["a listener that was gone"] += 1
            raise ConnectionError("the client is gone")

    def _maybe_retry(self, round_id: str, identity: bytes, decision: Decision) -> None:
        eager = self._scenario.insistence if decision.outcome in UNKNOWN else self._scenario.insistence / 4
        if not self._repeats_left or self._loop.time() > self._scenario.storm_seconds or self._rng.random() > eager:
            return
        self._repeats_left -= 1
        if self._rng.random() < 0.2:
            self._history.met["retried from within the callback"] += 1
            self._ask(round_id, identity)
        else:
            self._loop.call_later(
                min(self._rng.expovariate(4.0), LAST_ASK_SECONDS - 1.0), self._ask, round_id, identity
            )


def _ignore_answer(decision: Decision) -> None:
    """Do nothing with the answer."""
