"""A gateway of the simulation: the engine as it ships. Only `submit` is looked at, by which every claim comes in."""

from typing import cast

from claimd.domain.outcomes import Decision
from claimd.domain.rounds import FIRST_EPOCH
from claimd.engine.batcher import BatchLimits, Deliver
from claimd.engine.engine import ClaimEngine
from claimd.metrics.counts import Counts
from claimd.store.ports import ClaimStore
from tests.simulation.history import History
from tests.simulation.server import Connection, Server


class Gateway(ClaimEngine):
    """On the loop's clock, which is the engine's own choice: here that is the simulated one."""

    def __init__(self, number: int, server: Server, history: History, limits: BatchLimits) -> None:
        self.number = number
        self.counts = Counts()
        self._history = history
        super().__init__(cast(ClaimStore, Connection(server, number)), self.counts, limits)

    def submit(self, round_id: str, identity: bytes, deliver: Deliver, epoch: int = FIRST_EPOCH) -> None:
        """As the engine's; who asks and what is told is written down, before anybody else learns of it."""
        submission = self._history.asks(self.number, round_id, identity)

        def told(decision: Decision) -> None:
            self._history.tells(submission, decision)
            deliver(decision)

        super().submit(round_id, identity, told, epoch)
        # Who is told at once was not let in.
        submission.let_in = not submission.told
        waiting = len(self._batchers.get((round_id, epoch), ()))
        self._history.deepest_queue = max(self._history.deepest_queue, waiting)
