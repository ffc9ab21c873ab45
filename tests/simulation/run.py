"""One seed from beginning to end: the storm, the calm after it, and the judgement.

The same seed gives the same run, event for event, in any process: everything that is drawn comes from one generator.
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

# After a call of two seconds, twenty quick ones bring the expected wait below the least that any door here allows.
_MAX_WAVES = 30
# Asked for at once in calm weather: fewer than the narrowest queue holds, or than a batch.
_LARGEST_WAVE = 200

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Run:
    """How a seed's run went; `violation` is None where every rule was kept, `evidence` if it never came to an end."""

    seed: int
    scenario: Scenario
    history: History
    evidence: Evidence | None
    violation: str | None
    met: Counter[str]


class Unserved(Exception):
    """Somebody is not served although nothing is wrong."""


def simulate(seed: int) -> Run:
    """Run one seed. Raises nothing: what goes wrong is the violation."""
    rng = Random(seed)
    scenario = draw_scenario(rng)
    loop = SimulatedLoop(rng, scenario.freeze_share)
    # Faults are what this is about: the engine's word of each would be thousands of lines.
    logging.getLogger("claimd.engine.batcher").setLevel(logging.CRITICAL + 1)
    history = History(loop)
    loop.set_exception_handler(lambda _, context: history.error(context.get("exception")))
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
    """All parts of one run."""

    def __init__(self, loop: SimulatedLoop, rng: Random, scenario: Scenario, history: History) -> None:
        self._loop = loop
        self._rng = rng
        self._scenario = scenario
        self._history = history
        self._server = Server(loop, rng, scenario, history)
        self._operator = Operator(loop, rng, scenario, history, self._server)

    async def run(self) -> Evidence:
        """The storm, then what must be true of calm weather; what there is to judge both by."""
        gateways = [
            Gateway(number, self._server, self._history, self._scenario.limits)
            for number in range(self._scenario.gateways)
        ]
        crowd = Crowd(self._loop, self._rng, self._scenario, self._history, gateways)
        await self._storm(gateways, crowd)
        calm_from = self._history.now().position
        await self._settle(gateways, self._unsettled())
        await self._serve_everybody(gateways, crowd)
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
        """Until nobody asks any more, everybody is told, and nothing is on its way to the server."""
        self._operator.schedule()
        for at, trouble, seconds in self._scenario.troubles:
            self._loop.call_at(at, self._server.befall, trouble, seconds)
        crowd.schedule()
        await asyncio.sleep(self._scenario.storm_seconds)
        self._server.calm_down()
        await asyncio.sleep(LAST_ASK_SECONDS)
        for gateway in gateways:
            await gateway.drain()
        self._history.note("drained", f"{self._history.undecided()} claims undecided")
        await asyncio.sleep(max(self._scenario.edits, default=0.0) - self._loop.time() + 0.001)
        await self._server.quiet()

    def _unsettled(self) -> list[tuple[str, bytes]]:
        """Who was told that nothing is known, and never that they hold a claim."""
        outcomes: dict[tuple[str, bytes], set[Outcome]] = {}
        for submission in self._history.submissions:
            who = submission.round_id, submission.identity
            outcomes.setdefault(who, set()).update(decision.outcome for _, decision in submission.told)
        return [who for who, told in outcomes.items() if told & UNKNOWN and not told & CLAIMED]

    async def _settle(self, gateways: list[Gateway], people: list[tuple[str, bytes]]) -> None:
        """Everybody in doubt asks again, in calm weather: in a few attempts each learns for certain."""
        for some in _slices(people, min(_LARGEST_WAVE, self._scenario.limits.max_waiting)):
            waiting = some
            for _ in range(_MAX_WAVES):
                waiting = [
                    (told.round_id, told.identity)
                    for told in await self._ask_all(gateways, waiting)
                    if told.outcome in UNKNOWN
                ]
                if not waiting:
                    break
            else:
                round_id, identity = waiting[0]
                raise Unserved(f"{person(identity)} of {round_id} is in doubt after {_MAX_WAVES} tries in calm weather")

    async def _serve_everybody(self, gateways: list[Gateway], crowd: Crowd) -> None:
        """With stock for all and no other fault, a newcomer at each gateway gets a claim, of each round."""
        for round_id in {submission.round_id: None for submission in self._history.submissions}:
            self._operator.open_wide(round_id, stock=len(gateways))
            newcomers = [(round_id, crowd.stranger()) for _ in gateways]
            await self._settle(gateways, newcomers)
            for told in self._history.submissions[-len(newcomers) :]:
                if told.outcome is not Outcome.GRANTED:
                    raise Unserved(f"a newcomer to {round_id} was told {told.outcome}, with stock for everybody")

    async def _ask_all(self, gateways: list[Gateway], people: list[tuple[str, bytes]]) -> list[Submission]:
        """Have each ask at a gateway of their own, always the same, and return when all are told."""
        first = len(self._history.submissions)
        for round_id, identity in people:
            gateway = gateways[int.from_bytes(identity, "big") % len(gateways)]
            gateway.submit(round_id, identity, lambda _: None)
        for gateway in gateways:
            await gateway.drain()
        asked = self._history.submissions[first:]
        if not all(submission.told for submission in asked):
            raise Unserved("drained, and somebody has not been told")
        return asked


def _slices(items: list[Item], size: int) -> Iterator[list[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


async def _all(items: AsyncIterator[Item]) -> list[Item]:
    return [item async for item in items]
