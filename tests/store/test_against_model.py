"""Random operations, on the model and on a real server at once: every answer and every state must be the same."""

import asyncio
from dataclasses import replace
from operator import attrgetter
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from claimd.audit.audit import audit_round
from claimd.domain.claims import VoidedClaim
from claimd.domain.log import EditAction, GrantsEntry, VoidEntry
from claimd.domain.rounds import NO_EPOCH, NOT_OVER, Definition, Round
from claimd.domain.times import HOUR_MS
from tests.conftest import emptied
from tests.patience import patient_store
from tests.rounds import identity, listed, now_ms
from tests.servers import Server
from tests.store.model import ports_of_model

# Instants are hours away from now, so that every window has the same status by both clocks.
_NOW = now_ms()
_INSTANTS = st.sampled_from([_NOW - 48 * HOUR_MS, _NOW - 24 * HOUR_MS, _NOW + 24 * HOUR_MS, _NOW + 48 * HOUR_MS])
_ROUNDS = st.sampled_from(["a", "b", "c"])
_PEOPLE = st.lists(st.integers(0, 12).map(identity), min_size=1, max_size=8)
_TOTALS = st.integers(0, 9)
_EPOCHS = st.sampled_from([0, 0, 0, 1, 2, NO_EPOCH])
_VERSIONS = st.sampled_from([None, None, 1, 2, 3])
_CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "title": st.text(min_size=1, max_size=5),
        "total": _TOTALS,
        "total_change": st.integers(-4, 4),
        "opens_at_ms": _INSTANTS,
        "closes_at_ms": _INSTANTS,
        "paused": st.booleans(),
        "closed": st.booleans(),
        "pack": st.dictionaries(st.text(max_size=3), st.integers(-(2**53), 2**53), max_size=2),
        "eligibility": st.dictionaries(st.text(min_size=1, max_size=3), st.just(["x"]), max_size=2),
    },
).filter(lambda changes: changes and not {"total", "total_change"} <= changes.keys())


def timeless(value: Any) -> Any:
    """Without what the two clocks stamped on it: instants within a minute of now."""
    if isinstance(value, list):
        return [timeless(item) for item in value]
    return value._replace(now_ms=0, claimed_at_ms=0)


def lasting(item: Round) -> Any:
    """Without instants of grants, of which only their being there can be the same."""
    return replace(item, last_grant_ms=bool(item.last_grant_ms), window_lifted_ms=bool(item.window_lifted_ms))


def same_void(claim: VoidedClaim) -> VoidedClaim:
    """Without the instants that the two clocks stamped on it."""
    return replace(claim, claimed_at_ms=0, voided_at_ms=0)


class BothStores(RuleBasedStateMachine):
    """Does everything twice."""

    server: Server

    def __init__(self) -> None:
        super().__init__()
        emptied(self.server)
        self.runner = asyncio.Runner()
        self.real = patient_store(self.server.url)
        self.model = ports_of_model()

    def teardown(self) -> None:
        """Close what was opened."""
        self.runner.run(self.real.close())
        self.runner.close()

    def both(self, method: str, *args: Any, **named: Any) -> tuple[Any, Any]:
        """The answers of the model and of the real store."""

        async def call(store: Any) -> Any:
            return await attrgetter(method)(store)(*args, **named)

        return self.runner.run(call(self.model)), self.runner.run(call(self.real))

    @rule(round_id=_ROUNDS, people=_PEOPLE, epoch=_EPOCHS)
    def claim(self, round_id: str, people: list[bytes], epoch: int) -> None:
        """Claim."""
        expected, real = self.both("claims.claim", round_id, people, epoch)
        assert timeless(real) == timeless(expected)

    @rule(round_id=_ROUNDS, total=_TOTALS, opens_at_ms=_INSTANTS, closes_at_ms=_INSTANTS)
    def create(self, round_id: str, total: int, opens_at_ms: int, closes_at_ms: int) -> None:
        """Create a round."""
        if closes_at_ms > opens_at_ms:
            definition = Definition(round_id, "A round", total, opens_at_ms, closes_at_ms)
            expected, real = self.both("rounds.round_create", definition, "created")
            assert real.outcome is expected.outcome

    @rule(round_id=_ROUNDS, changes=_CHANGES, if_version=_VERSIONS)
    def edit(self, round_id: str, changes: dict[str, Any], if_version: int | None) -> None:
        """Edit a round."""
        expected, real = self.both("rounds.round_edit", round_id, changes, "because", if_version=if_version)
        assert real.outcome is expected.outcome

    @rule(round_id=_ROUNDS)
    def revoke_passes(self, round_id: str) -> None:
        """Revoke the passes of a round."""
        expected, real = self.both("rounds.round_edit", round_id, {}, "leaked", action=EditAction.REVOKE_PASSES)
        assert real.outcome is expected.outcome

    @rule(round_id=_ROUNDS, if_version=_VERSIONS)
    def delete(self, round_id: str, if_version: int | None) -> None:
        """Delete a round."""
        expected, real = self.both("rounds.round_delete", round_id, "a mistake", if_version=if_version)
        assert real.outcome is expected.outcome

    @rule(round_id=_ROUNDS, wrong=st.sampled_from([0, 0, 0, 1]))
    def archive(self, round_id: str, wrong: int) -> None:
        """Archive a round, at times with the counters of another state."""
        (_, item, _), _ = self.both("rounds.round", round_id)
        version, issued = (item.version, item.issued + wrong) if item else (1, 0)
        voided = item.voided if item else 0
        held = {
            "version": version,
            "issued": issued,
            "voided": voided,
            "sha256": f"{version}",
            "file": "f",
            "reason": "over",
        }
        expected, real = self.both("rounds.round_archive", round_id, **held)
        assert real.outcome is expected.outcome
        assert (real.archived and replace(real.archived, at_ms=0)) == (
            expected.archived and replace(expected.archived, at_ms=0)
        )

    @rule(round_id=_ROUNDS, serial=st.integers(0, 12), bar=st.booleans())
    def void(self, round_id: str, serial: int, bar: bool) -> None:
        """Void a claim, at times one that there is not, or that was voided before."""
        expected, real = self.both("voids.claim_void", round_id, serial, bar=bar, reason="fraud")
        assert real.outcome is expected.outcome
        assert (real.claim and same_void(real.claim)) == (expected.claim and same_void(expected.claim))

    @rule(round_id=_ROUNDS, person=st.integers(0, 12).map(identity))
    def find_claim(self, round_id: str, person: bytes) -> None:
        """Look a claim up."""
        ((expected,), (real,)) = self.both("claims.find_claims", round_id, [person])
        assert (real.outcome, real.serial) == (expected.outcome, expected.serial)

    @invariant()
    def same_state(self) -> None:
        """Rounds, claims and logs agree, and the audit of the real one is clean."""
        expected, real = (self.runner.run(listed(store.rounds, limit=1)) for store in (self.model, self.real))
        assert [lasting(item) for item in real] == [lasting(item) for item in expected]
        not_over = [
            [item.id for item in self.runner.run(listed(store.rounds, NOT_OVER))] for store in (self.model, self.real)
        ]
        assert not_over[0] == not_over[1]
        for item in real:
            assert self.runner.run(self.log_of(self.real, item.id)) == self.runner.run(self.log_of(self.model, item.id))
            audit = self.runner.run(audit_round(self.real.log_reader, item.id))
            assert audit is not None
            assert audit.ok, audit

    @staticmethod
    async def log_of(store: Any, round_id: str) -> list[Any]:
        """The log without its instants."""
        entries = [entry async for entry in store.log_reader.log(round_id)]
        return [
            (entry.first_serial, entry.identities)
            if isinstance(entry, GrantsEntry)
            else (entry.version, same_void(entry.claim), entry.who, entry.reason)
            if isinstance(entry, VoidEntry)
            else (entry.version, entry.action, entry.who, entry.reason, entry.fields)
            for entry in entries
        ]


@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_the_real_store_does_what_the_model_does(request: pytest.FixtureRequest, kind: str) -> None:
    """Hypothesis finds no sequence of operations in which a server and the model differ."""
    machine = type("Machine", (BothStores,), {"server": request.getfixturevalue(f"_{kind}_process")})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            database=None,
        ),
    )
