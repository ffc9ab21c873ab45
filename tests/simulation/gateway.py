"""A gateway of the simulation: the production engine, with `submit`, the entry of every claim, recorded."""

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
    """The engine on the clock of the event loop, which is the simulated one."""

    def __init__(self, number: int, server: Server, history: History, limits: BatchLimits) -> None:
        self.number = number
        self.counts = Counts()
        self._history = history
        super().__init__(cast(ClaimStore, Connection(server, number)), self.counts, limits)

    def submit_claim(self, round_id: str, identity: bytes, deliver: Deliver, epoch: int = FIRST_EPOCH) -> None:
        """See `ClaimEngine.submit_claim`. Records the claim before it is handled, the answer before delivery."""
        submission = self._history.record_claim(self.number, round_id, identity)

        def record_and_deliver(decision: Decision) -> None:
            self._history.record_answer(submission, decision)
            deliver(decision)

        super().submit_claim(round_id, identity, record_and_deliver, epoch)
        # A claim that is answered at once was not admitted.
        submission.admitted = not submission.answers
        waiting = len(self._batchers.get((round_id, epoch), ()))
        self._history.deepest_queue = max(self._history.deepest_queue, waiting)
