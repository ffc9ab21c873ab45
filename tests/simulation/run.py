"""One seed: the storm, which has the faults, the calm after it, and the verdict of the oracle.

The same seed gives the same run, event for event, in any process: all random numbers come from one generator.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from claimd.domain.outcomes import Outcome
from tests.simulation.coverage import coverage
from tests.simulation.crowd import LAST_ASK_SECONDS, Crowd
from tests.simulation.evidence import Evidence
from tests.simulation.gateway import Gateway
from tests.simulation.history import CLAIMED, UNKNOWN, History, Submission, person
from tests.simulation.loop import SimulatedLoop, Stuck
from tests.simulation.operating import Operator
from tests.simulation.oracle import violation
from tests.simulation.scenario import Scenario, draw_scenario
from tests.simulation.server import Server

# After a call of two seconds, twenty quick ones bring the expected wait below every limit of admission used here.
_MAX_WAVES = 30
# The most claims at once in the calm: fewer than a batch.
_LARGEST_WAVE = 200

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Run:
    """The result of one seed. `violation` is None where all rules were kept, `evidence` where the run did not end."""

    seed: int
    scenario: Scenario
    history: History
    evidence: Evidence | None
    violation: str | None
    met: Counter[str]


class Unserved(Exception):
    """A claim is not decided although there is no fault."""


def simulate(seed: int) -> Run:
    """Run one seed. A failure is returned as `violation`, not raised."""
    rng = Random(seed)
    scenario = draw_scenario(rng)
    loop = SimulatedLoop(rng, scenario.freeze_share)
    # The engine logs every fault, which would be thousands of lines.
    logging.getLogger("claimd.engine.batcher").setLevel(logging.CRITICAL + 1)
    history = History(loop)
    loop.set_exception_handler(lambda _, context: history.record_error(context.get("exception")))
    drop = _Drop(loop, rng, scenario, history)
    evidence: Evidence | None = None
    try:
        evidence = loop.run_until_complete(drop.run())
        broken = violation(evidence)
    except (Stuck, Unserved) as error:
        broken = f"{error}; {history.undecided()} claims undecided"
    finally:
        loop.close()
    met = coverage(evidence, loop.freezes) if evidence and not broken else Counter[str]()
    return Run(seed, scenario, history, evidence, broken, met)


class _Drop:
    """The parts of one run."""

    def __init__(self, loop: SimulatedLoop, rng: Random, scenario: Scenario, history: History) -> None:
        self._loop = loop
        self._rng = rng
        self._scenario = scenario
        self._history = history
        self._server = Server(loop, rng, scenario, history)
        self._operator = Operator(loop, rng, scenario, history, self._server)

    async def run(self) -> Evidence:
        """Run the storm, then the calm; returns the evidence for both. Raises Unserved, Stuck."""
        gateways = [
            Gateway(number, self._server, self._history, self._scenario.limits)
            for number in range(self._scenario.gateways)
        ]
        crowd = Crowd(self._loop, self._rng, self._scenario, self._history, gateways)
        await self._storm(gateways, crowd)
        calm_from = self._history.now().position
        await self._settle(gateways, self._unsettled())
        await self._serve_all(gateways, crowd)
        counted = Counter[tuple[str, str]]()
        for gateway in gateways:
            counted.update(gateway.counts.claims)
        model, rounds = self._server.model, self._scenario.round_ids
        return Evidence(
            scenario=self._scenario,
            history=self._history,
            logs={round_id: await _all(model.log(round_id)) for round_id in rounds},
            held={round_id: await _all(model.claims(round_id)) for round_id in rounds},
            calm_from=calm_from,
            counted=counted,
        )

    async def _storm(self, gateways: list[Gateway], crowd: Crowd) -> None:
        """Run the faults until all claims have arrived and were answered, and no call is under way to the server."""
        self._operator.schedule()
        for at, trouble, seconds in self._scenario.troubles:
            self._loop.call_at(at, self._server.begin_trouble, trouble, seconds)
        crowd.schedule()
        await asyncio.sleep(self._scenario.storm_seconds)
        self._server.calm_down()
        await asyncio.sleep(LAST_ASK_SECONDS)
        for gateway in gateways:
            await gateway.drain()
        self._history.note("drained", f"{self._history.undecided()} claims undecided")
        await asyncio.sleep(max(self._scenario.edits, default=0.0) - self._loop.time() + 0.001)
        await self._server.wait_until_idle()

    def _unsettled(self) -> list[tuple[str, bytes]]:
        """The (round, identity) pairs with an unknown outcome and no answer with a claim."""
        outcomes: dict[tuple[str, bytes], set[Outcome]] = {}
        for submission in self._history.submissions:
            claimant = submission.round_id, submission.identity
            outcomes.setdefault(claimant, set()).update(decision.outcome for _, decision in submission.answers)
        return [claimant for claimant, answered in outcomes.items() if answered & UNKNOWN and not answered & CLAIMED]

    async def _settle(self, gateways: list[Gateway], claimants: list[tuple[str, bytes]]) -> None:
        """Retry for all `claimants` in the calm. Raises Unserved if an outcome stays unknown for _MAX_WAVES."""
        for some in _slices(claimants, min(_LARGEST_WAVE, self._scenario.limits.max_waiting)):
            waiting = some
            for _ in range(_MAX_WAVES):
                waiting = [
                    (asked.round_id, asked.identity)
                    for asked in await self._ask_all(gateways, waiting)
                    if asked.outcome in UNKNOWN
                ]
                if not waiting:
                    break
            else:
                round_id, identity = waiting[0]
                raise Unserved(
                    f"{person(identity)} of {round_id} is unknown after {_MAX_WAVES} retries without a fault"
                )

    async def _serve_all(self, gateways: list[Gateway], crowd: Crowd) -> None:
        """With stock for all and no fault, a new identity at each gateway is granted a claim in each round."""
        for round_id in {submission.round_id: None for submission in self._history.submissions}:
            self._operator.open_wide(round_id, stock=len(gateways))
            newcomers = [(round_id, crowd.new_identity()) for _ in gateways]
            await self._settle(gateways, newcomers)
            for asked in self._history.submissions[-len(newcomers) :]:
                if asked.outcome is not Outcome.GRANTED:
                    raise Unserved(f"a newcomer to {round_id} was answered {asked.outcome}, with stock for all")

    async def _ask_all(self, gateways: list[Gateway], claimants: list[tuple[str, bytes]]) -> list[Submission]:
        """Claim for all, each identity at one fixed gateway; returns the submissions, all answered. Raises Unserved."""
        first = len(self._history.submissions)
        for round_id, identity in claimants:
            gateway = gateways[int.from_bytes(identity, "big") % len(gateways)]
            gateway.submit_claim(round_id, identity, lambda _: None)
        for gateway in gateways:
            await gateway.drain()
        asked = self._history.submissions[first:]
        if not all(submission.answers for submission in asked):
            raise Unserved("drained, and a claim has no answer")
        return asked


def _slices(items: list[Item], size: int) -> Iterator[list[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


async def _all(items: AsyncIterator[Item]) -> list[Item]:
    return [item async for item in items]
