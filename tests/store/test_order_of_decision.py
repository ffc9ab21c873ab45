"""Script, model and table decide a claim by the first condition that applies, for every set of conditions at once."""

from collections.abc import Iterator
from itertools import chain, combinations
from typing import Any

import pytest

from claimd.domain.outcomes import ORDER_OF_DECISION, Outcome
from claimd.domain.rounds import FIRST_EPOCH
from claimd.store.redis.store import RedisStore
from tests.rounds import definition, identities
from tests.store.model import Ports, ports_of_model, ports_of_server

Conditions = frozenset[Outcome]

CHANGES_OF: dict[Outcome, dict[str, Any]] = {
    Outcome.CLOSED: {"closed": True},
    Outcome.NOT_OPEN: {"opens_at_ms": 2**41},
    Outcome.PAUSED: {"paused": True},
}
FREE = (Outcome.REPLAYED, Outcome.BARRED, Outcome.PASS_OUTDATED, Outcome.SOLD_OUT, *CHANGES_OF)


def all_conditions() -> Iterator[Conditions]:
    """Every set of conditions that a round can be in; only a closed round can be archived."""
    for chosen in chain.from_iterable(combinations(FREE, count) for count in range(len(FREE) + 1)):
        if {Outcome.REPLAYED, Outcome.BARRED} <= set(chosen):
            # Who is barred holds nothing.
            continue
        yield frozenset(chosen)
        if Outcome.CLOSED in chosen:
            yield frozenset((*chosen, Outcome.ARCHIVED))


async def decide(store: Ports, round_id: str, conditions: Conditions, *, by_window: bool) -> tuple[Outcome, bool]:
    """The outcome of a claim in a new round under these conditions; whether the round itself gives the same reason.

    `by_window` closes the round by the end of its window instead of the operator's flag.
    """
    held, barred = Outcome.REPLAYED in conditions, Outcome.BARRED in conditions
    total = (held or barred) + (Outcome.SOLD_OUT not in conditions)
    await store.rounds.round_create(definition(round_id, total=total, closes_at_ms=2**42), "")
    if held or barred:
        await store.claims.claim(round_id, identities(1))
    if barred:
        await store.voids.claim_void(round_id, 1, bar=True, reason="fraud")
        # The pack that came back goes to another person.
        await store.claims.claim(round_id, identities(2))
    changes = [change for outcome, change in CHANGES_OF.items() if outcome in conditions]
    if by_window:
        changes.append({"closed": False, "opens_at_ms": 0, "closes_at_ms": 1})
    await store.rounds.round_edit(
        round_id, {name: value for change in changes for name, value in change.items()}, "a state"
    )
    epoch = FIRST_EPOCH + (Outcome.PASS_OUTDATED in conditions)
    reading = await store.rounds.round(round_id)
    assert reading.round is not None
    if Outcome.ARCHIVED in conditions:
        version, issued, voided = reading.round.version, reading.round.issued, reading.round.voided
        await store.rounds.round_archive(
            round_id, version=version, issued=issued, voided=voided, sha256="", file="", reason=""
        )
    (decision,) = await store.claims.claim(round_id, identities(1), epoch)
    refusal = reading.round.refusal(reading.now_ms, epoch) or Outcome.GRANTED
    reasons = (refusal, Outcome.ARCHIVED, Outcome.REPLAYED, Outcome.BARRED)
    return decision.outcome, decision.outcome in reasons


@pytest.mark.parametrize("by_window", [False, True])
async def test_the_first_condition_that_applies_decides(store: RedisStore, by_window: bool) -> None:
    """Up to seven conditions at once, in all combinations: each store replies what ORDER_OF_DECISION has first."""
    model = ports_of_model()
    tried: set[Outcome] = set()
    for number, conditions in enumerate(all_conditions()):
        if by_window and (Outcome.CLOSED not in conditions or Outcome.NOT_OPEN in conditions):
            continue
        first = next(outcome for outcome in ORDER_OF_DECISION if outcome in conditions or outcome is Outcome.GRANTED)
        for tested in (ports_of_server(store), model):
            decided = await decide(tested, f"r{number}", conditions, by_window=by_window)
            assert decided == (first, True), f"{sorted(conditions)} in {type(tested.claims).__name__}"
        tried.add(first)
    assert by_window or tried == set(ORDER_OF_DECISION) - {Outcome.ROUND_NOT_FOUND}


async def test_a_round_that_does_not_exist_comes_first(store: RedisStore) -> None:
    """Nothing else can be true of it; a pass of another epoch changes nothing."""
    assert ORDER_OF_DECISION[0] is Outcome.ROUND_NOT_FOUND
    for tested in (ports_of_server(store), ports_of_model()):
        for epoch in (FIRST_EPOCH, FIRST_EPOCH + 1):
            (decision,) = await tested.claims.claim("nowhere", identities(1), epoch)
            assert decision.outcome is Outcome.ROUND_NOT_FOUND
