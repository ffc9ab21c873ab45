"""The operator: creates rounds, some late, and edits stock, flags and windows."""

from random import Random
from typing import Any

from claimd.domain.outcomes import EditOutcome
from claimd.domain.rounds import Definition, Round
from tests.simulation.history import History
from tests.simulation.loop import SimulatedLoop
from tests.simulation.scenario import Scenario
from tests.simulation.server import Server, run_at_once

_DAY_MS = 86_400_000
# The share of an operator's actions that take claims back.
_VOIDS = 0.25


class Operator:
    """Edits the model directly, so that every edit arrives: the simulation tests claims, not edits."""

    def __init__(self, loop: SimulatedLoop, rng: Random, scenario: Scenario, history: History, server: Server) -> None:
        self._loop = loop
        self._rng = rng
        self._scenario = scenario
        self._history = history
        self._server = server

    def schedule(self) -> None:
        """Create the rounds, some of them late, and schedule the edits of the scenario."""
        for round_id in self._scenario.round_ids:
            if self._rng.random() < 0.9:
                self._create(round_id)
            else:
                self._loop.call_later(self._rng.random() * self._scenario.storm_seconds, self._create, round_id)
        for at in self._scenario.edits:
            self._loop.call_at(at, self._edit)

    def open_wide(self, round_id: str, stock: int) -> None:
        """Edit a round so that it is open and exactly `stock` packs are left."""
        state = self._round(round_id)
        self._change(
            round_id,
            {
                "total": state.held + stock,
                "paused": False,
                "closed": False,
                "opens_at_ms": 0,
                "closes_at_ms": max(self._server.now_ms(), state.last_grant_ms) + _DAY_MS,
            },
        )

    def _create(self, round_id: str) -> None:
        now_ms = self._server.now_ms()
        opens_in_ms = self._rng.choice((0, 0, int(self._scenario.storm_seconds * 500 * self._rng.random())))
        definition = Definition(
            round_id, "A round", self._scenario.stock[round_id], now_ms + opens_in_ms, now_ms + _DAY_MS
        )
        run_at_once(self._server.model.round_create(definition, "the drop"))
        self._history.note("creates", round_id, f"{definition.total} in stock, opens in {opens_in_ms} ms")

    def _edit(self) -> None:
        round_id = self._rng.choice(self._scenario.round_ids)
        if run_at_once(self._server.model.round(round_id)).round is not None:
            if self._rng.random() < _VOIDS:
                self._void(round_id)
                return
            changes = self._draw_changes(self._round(round_id))
            if self._change(round_id, changes):
                self._history.met.update(f"{field} edited" for field in changes)

    def _void(self, round_id: str) -> None:
        """Take some claims back, one of them twice."""
        for _ in range(self._rng.randint(1, 4)):
            serial, bar = self._rng.randint(1, self._round(round_id).issued + 1), self._rng.random() < 0.3
            for _ in range(self._rng.choice((1, 1, 2))):
                voided = run_at_once(self._server.model.claim_void(round_id, serial, bar=bar, reason="fraud"))
                self._history.note("voids", round_id, serial, bar, voided.outcome.value)
                self._history.met["a claim voided"] += voided.outcome is EditOutcome.DONE

    def _draw_changes(self, state: Round) -> dict[str, Any]:
        now_ms = self._server.now_ms()
        kind = self._rng.choice(("total", "total", "total", "paused", "paused", "closed", "opens", "closes"))
        if kind == "total":
            return {"total": max(0, state.held + self._rng.randint(-2, 20))}
        if kind == "paused":
            return {"paused": not state.paused}
        if kind == "closed":
            return {"closed": not state.closed and self._rng.random() < 0.5}
        if kind == "opens":
            return {"opens_at_ms": now_ms + self._rng.randint(-3000, 1000)}
        return {"closes_at_ms": now_ms + self._rng.choice((-1000, 500, _DAY_MS))}

    def _change(self, round_id: str, changes: dict[str, Any]) -> bool:
        edited = run_at_once(self._server.model.round_edit(round_id, changes, "as it must be"))
        self._history.note("edits", round_id, changes, edited.outcome.value)
        return edited.outcome is EditOutcome.DONE

    def _round(self, round_id: str) -> Round:
        state = run_at_once(self._server.model.round(round_id)).round
        assert state is not None
        return state
