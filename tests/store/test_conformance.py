"""What every store must do: the model, Valkey and Redis pass the same suite."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from claimd.domain.archived import Archived
from claimd.domain.claims import Claim
from claimd.domain.log import EditAction, EditEntry, GrantsEntry, VoidEntry
from claimd.domain.outcomes import EditOutcome, Outcome
from claimd.domain.rounds import ANY_STATUS, FIRST_EPOCH, MAX_TOTAL, NO_EPOCH, NOT_OVER, Status
from claimd.domain.times import HOUR_MS
from claimd.store.errors import StoreDamaged
from claimd.store.ports import MAX_BATCH, Edited, Reading
from tests.conftest import emptied
from tests.patience import patient_store
from tests.rounds import definition, identities, identity, listed, now_ms
from tests.store.model import Ports, ports_of_model, ports_of_server


@pytest.fixture(params=["model", "valkey", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Ports]:
    """Each store there is, empty."""
    if request.param == "model":
        yield ports_of_model()
        return
    store = patient_store(emptied(request.getfixturevalue(f"_{request.param}_process")).url)
    yield ports_of_server(store)
    await store.close()


async def outcomes(store: Ports, people: list[bytes], round_id: str = "r1") -> list[tuple[Outcome, int]]:
    return [(decision.outcome, decision.serial) for decision in await store.claims.claim(round_id, people)]


async def test_serials_count_from_one_without_gaps_over_batches(store: Ports) -> None:
    """The first claim of a round gets serial 1, and each further one the next, whatever the batches."""
    await store.rounds.round_create(definition(total=100), "")
    for first in (1, 4, 5, 50):
        people = identities(*range(first, first + 3))
        await store.claims.claim("r1", people)
    granted = [entry async for entry in store.log_reader.log("r1") if isinstance(entry, GrantsEntry)]
    serials = [entry.first_serial + offset for entry in granted for offset in range(len(entry))]
    assert serials == list(range(1, 11))


async def test_stock_is_granted_to_the_last_one_and_never_beyond(store: Ports) -> None:
    """A batch that runs over the stock is granted in order up to the last pack; the rest gets `sold_out`."""
    await store.rounds.round_create(definition(total=3), "")
    assert await outcomes(store, identities(1, 2, 3, 4, 5)) == [
        (Outcome.GRANTED, 1),
        (Outcome.GRANTED, 2),
        (Outcome.GRANTED, 3),
        (Outcome.SOLD_OUT, 0),
        (Outcome.SOLD_OUT, 0),
    ]
    reading = await store.rounds.round("r1")
    assert reading.round is not None
    assert (reading.round.issued, reading.round.remaining) == (3, 0)
    assert reading.round.status(reading.now_ms) is Status.SOLD_OUT


async def test_asking_again_gets_the_same_claim_ever_after(store: Ports) -> None:
    """A replay has the serial and the time of the grant: in the same batch, in a later one, and in any state."""
    await store.rounds.round_create(definition(total=2), "")
    first, again, other = await store.claims.claim("r1", identities(7, 7, 8))
    assert (first.outcome, again.outcome, other.serial) == (Outcome.GRANTED, Outcome.REPLAYED, 2)
    assert (again.serial, again.claimed_at_ms) == (first.serial, first.claimed_at_ms)
    states = ({"paused": True}, {"paused": False, "closed": True}, {"opens_at_ms": now_ms() + HOUR_MS // 2})
    for changes in states:
        await store.rounds.round_edit("r1", dict(changes), "a state")
        (replay,) = await store.claims.claim("r1", identities(7))
        assert (replay.outcome, replay.serial, replay.claimed_at_ms) == (
            Outcome.REPLAYED,
            first.serial,
            first.claimed_at_ms,
        )


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"opens_at_ms": now_ms() + HOUR_MS}, Outcome.NOT_OPEN),
        ({"paused": True}, Outcome.PAUSED),
        ({"closed": True}, Outcome.CLOSED),
        ({"opens_at_ms": 0, "closes_at_ms": 1}, Outcome.CLOSED),
        ({"total": 0}, Outcome.SOLD_OUT),
        ({"closed": True, "paused": True, "total": 0}, Outcome.CLOSED),
        ({"paused": True, "total": 0}, Outcome.PAUSED),
        ({"paused": True, "opens_at_ms": now_ms() + HOUR_MS}, Outcome.NOT_OPEN),
    ],
)
async def test_a_refusal_has_a_reason_and_grants_nothing(
    store: Ports, changes: dict[str, int], refusal: Outcome
) -> None:
    """Closed before not open before paused before sold out; the status derived in Python is the same."""
    opens_at_ms = changes.get("opens_at_ms", 0)
    await store.rounds.round_create(definition(closes_at_ms=now_ms() + 2 * HOUR_MS), "")
    await store.rounds.round_edit("r1", changes, "a state")
    decisions = await store.claims.claim("r1", identities(1, 2))
    assert [decision.outcome for decision in decisions] == [refusal, refusal]
    reading = await store.rounds.round("r1")
    assert reading.round is not None
    status = {Outcome.NOT_OPEN: "scheduled"}.get(refusal, refusal)
    assert reading.round.status(reading.now_ms) == status
    assert reading.round.issued == 0
    if refusal is Outcome.NOT_OPEN:
        assert decisions[0].opens_at_ms == opens_at_ms > decisions[0].now_ms


async def test_a_claim_in_no_round(store: Ports) -> None:
    """A round that does not exist refuses everyone, and comes not into being by it."""
    assert await outcomes(store, identities(1, 2), "nowhere") == [(Outcome.ROUND_NOT_FOUND, 0)] * 2
    assert await listed(store.rounds) == []
    found = await store.claims.find_claims("nowhere", identities(1, 2))
    assert [decision.outcome for decision in found] == [Outcome.ROUND_NOT_FOUND] * 2


async def test_rounds_do_not_share_stock_or_identities(store: Ports) -> None:
    """One person may claim in every round, and each round has serials of its own."""
    await store.rounds.round_create(definition("a", total=1), "")
    await store.rounds.round_create(definition("b", total=1), "")
    assert await outcomes(store, identities(1), "a") == await outcomes(store, identities(1), "b")


async def test_the_largest_batch(store: Ports) -> None:
    """A batch of 512, all new, then all replays."""
    await store.rounds.round_create(definition(total=MAX_TOTAL), "")
    people = identities(*range(MAX_BATCH))
    assert await outcomes(store, people) == [(Outcome.GRANTED, serial) for serial in range(1, MAX_BATCH + 1)]
    assert await outcomes(store, people) == [(Outcome.REPLAYED, serial) for serial in range(1, MAX_BATCH + 1)]


async def test_a_round_is_created_once(store: Ports) -> None:
    """The second creation changes nothing, and its outcome is ROUND_EXISTS."""
    created = await store.rounds.round_create(
        definition(pack={"vouchers": [5, "x", None]}, eligibility={"city": ["hz"]}), ""
    )
    assert created.outcome is EditOutcome.DONE
    again = await store.rounds.round_create(definition(total=99), "")
    assert (again.outcome, again.round) == (EditOutcome.ROUND_EXISTS, created.round)
    assert (await store.rounds.round("r1")).round == created.round


async def test_rounds_are_listed_by_opening_time(store: Ports) -> None:
    """The next to open comes first."""
    now = now_ms()
    for name, opens_at_ms in (("late", now), ("early", now - HOUR_MS), ("also-late", now)):
        await store.rounds.round_create(definition(name, opens_at_ms=opens_at_ms), "")
    assert [item.id for item in await listed(store.rounds)] == ["early", "also-late", "late"]


@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_pages_have_every_round_once(store: Ports, limit: int) -> None:
    """Also where many open at the same moment, and where a round on the way was removed from its place."""
    now = now_ms()
    for number in range(25):
        await store.rounds.round_create(definition(f"r{number:02}", opens_at_ms=now - HOUR_MS + number // 10), "")
    expected = [f"r{number:02}" for number in range(25)]
    assert [item.id for item in await listed(store.rounds, limit=limit)] == expected
    assert [item.id for item in await listed(store.rounds, NOT_OVER, limit)] == expected
    page = await store.rounds.rounds_page(NOT_OVER, None, 5)
    assert page.next is not None
    await store.rounds.round_edit(page.next.round_id, {"opens_at_ms": now + 1}, "later")
    assert (await store.rounds.rounds_page(NOT_OVER, page.next, 1)).rounds[0].id == "r05"


@pytest.mark.parametrize("status", list(Status))
async def test_pages_have_the_statuses_that_were_asked_for(store: Ports, status: Status) -> None:
    """One of each: alone by its status, and all but the one that is over by default."""
    now = now_ms()
    await store.rounds.round_create(definition("open"), "")
    await store.rounds.round_create(definition("scheduled", opens_at_ms=now + HOUR_MS // 2), "")
    await store.rounds.round_create(definition("paused"), "")
    await store.rounds.round_edit("paused", {"paused": True}, "wait")
    await store.rounds.round_create(definition("sold_out", total=0), "")
    await store.rounds.round_create(definition("closed"), "")
    await store.rounds.round_edit("closed", {"closed": True}, "called off")
    await store.rounds.round_create(definition("ended", opens_at_ms=1000, closes_at_ms=2000), "")
    told = [item.id for item in await listed(store.rounds, frozenset({status}))]
    assert sorted(told) == (["closed", "ended"] if status is Status.CLOSED else [status])
    assert {item.id for item in await listed(store.rounds, NOT_OVER)} == {"open", "scheduled", "paused", "sold_out"}


async def test_what_is_over_is_recent_for_a_while(store: Ports) -> None:
    """Also what an operator closed just now, whatever its window; what is not over comes first and is left out last."""
    now = now_ms()
    await store.rounds.round_create(definition("long ago", opens_at_ms=1000, closes_at_ms=now - 2 * HOUR_MS), "")
    await store.rounds.round_create(definition("lately", opens_at_ms=2000, closes_at_ms=now - HOUR_MS // 2), "")
    await store.rounds.round_create(definition("called off", opens_at_ms=3000), "")
    await store.rounds.round_edit("called off", {"closed": True}, "called off")
    await store.rounds.round_create(definition("open", opens_at_ms=4000), "")
    recent = await store.rounds.recent_rounds(HOUR_MS, 10)
    assert ([item.id for item in recent.rounds], recent.left_out) == (["open", "lately", "called off"], 0)
    recent = await store.rounds.recent_rounds(HOUR_MS, 1)
    assert ([item.id for item in recent.rounds], recent.left_out) == (["open"], 2)


async def test_an_edit_counts_for_the_next_claim_and_stands_in_the_log(store: Ports) -> None:
    """Stock added after the sell-out is granted from the next serial on; the reason is kept."""
    await store.rounds.round_create(definition(total=1), "created")
    await store.claims.claim("r1", identities(1, 2))
    edited = await store.rounds.round_edit("r1", {"total": 2, "title": "Más"}, "the mayor added one")
    assert edited.outcome is EditOutcome.DONE
    assert edited.round is not None
    assert (edited.round.definition.title, edited.round.version, edited.round.issued) == ("Más", 2, 1)
    assert await outcomes(store, identities(2)) == [(Outcome.GRANTED, 2)]
    log = [entry async for entry in store.log_reader.log("r1")]
    assert [type(entry) for entry in log] == [EditEntry, GrantsEntry, EditEntry, GrantsEntry]
    edits = [(entry.version, entry.reason) for entry in log if isinstance(entry, EditEntry)]
    assert edits == [(1, "created"), (2, "the mayor added one")]
    assert isinstance(log[2], EditEntry)
    assert log[2].fields == {"total": "2", "title": "Más"}


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"total": 1, "title": "x"}, EditOutcome.TOTAL_BELOW_ISSUED),
        ({"closes_at_ms": 5, "title": "x"}, EditOutcome.INVALID_WINDOW),
        ({"opens_at_ms": now_ms() + 9 * HOUR_MS, "title": "x"}, EditOutcome.INVALID_WINDOW),
    ],
)
async def test_an_edit_is_all_or_nothing(store: Ports, changes: dict[str, int], outcome: EditOutcome) -> None:
    """One field that cannot be leaves all fields, and the log, as they were."""
    await store.rounds.round_create(definition(total=3), "")
    await store.claims.claim("r1", identities(1, 2))
    before, log = (await store.rounds.round("r1")).round, [entry async for entry in store.log_reader.log("r1")]
    assert (await store.rounds.round_edit("r1", changes, "no")).outcome is outcome
    assert (await store.rounds.round("r1")).round == before
    assert [entry async for entry in store.log_reader.log("r1")] == log


async def test_a_total_may_be_lowered_to_what_was_issued(store: Ports) -> None:
    """Then the round is sold out, and every claim stays."""
    await store.rounds.round_create(definition(total=9), "")
    await store.claims.claim("r1", identities(1, 2))
    assert (await store.rounds.round_edit("r1", {"total": 2}, "enough")).outcome is EditOutcome.DONE
    assert await outcomes(store, identities(3, 1)) == [(Outcome.SOLD_OUT, 0), (Outcome.REPLAYED, 1)]


async def test_an_edit_of_no_round(store: Ports) -> None:
    """The outcome is ROUND_NOT_FOUND, and no round is created."""
    assert (await store.rounds.round_edit("nowhere", {"title": "x"}, "?")).outcome is EditOutcome.ROUND_NOT_FOUND
    assert (await store.rounds.round("nowhere")).round is None


async def test_claims_and_log_agree(store: Ports) -> None:
    """What is held, one by one and as a whole, is what the log granted; the newest grant is the round's last."""
    await store.rounds.round_create(definition(total=5), "")
    await store.claims.claim("r1", identities(3, 1))
    await store.claims.claim("r1", identities(1, 2))
    held = {person: claim async for person, claim in store.log_reader.claims("r1")}
    logged = {
        person: Claim("r1", entry.first_serial + offset, entry.at_ms)
        async for entry in store.log_reader.log("r1")
        if isinstance(entry, GrantsEntry)
        for offset, person in enumerate(entry.split())
    }
    assert held == logged
    assert {person: claim.serial for person, claim in held.items()} == dict(
        zip(identities(3, 1, 2), (1, 2, 3), strict=True)
    )
    found = await store.claims.find_claims("r1", identities(2, 9, 1, 2))
    assert [(decision.outcome, decision.serial) for decision in found] == [
        (Outcome.REPLAYED, 3),
        (Outcome.NOT_CLAIMED, 0),
        (Outcome.REPLAYED, 2),
        (Outcome.REPLAYED, 3),
    ]
    assert found[0].claimed_at_ms == held[identity(2)].claimed_at_ms
    state = (await store.rounds.round("r1")).round
    assert state is not None
    assert state.last_grant_ms == held[identity(2)].claimed_at_ms


async def test_an_edit_of_eligibility_outdates_what_was_admitted_before(store: Ports) -> None:
    """Claims of an older epoch are refused, but for those that are held; equal values change nothing."""
    eligibility = {"city": ["hangzhou"]}
    await store.rounds.round_create(definition(total=9, eligibility=eligibility), "")
    await store.claims.claim("r1", identities(1))
    same = await store.rounds.round_edit("r1", {"eligibility": eligibility, "title": "T"}, "no change of it")
    assert same.round is not None
    assert same.round.epoch == FIRST_EPOCH
    other = await store.rounds.round_edit("r1", {"eligibility": {"city": ["wuhan"]}}, "another city")
    assert other.round is not None
    assert other.round.epoch == FIRST_EPOCH + 1
    held, outdated = await store.claims.claim("r1", identities(1, 2), FIRST_EPOCH)
    assert (held.outcome, held.serial, outdated.outcome) == (Outcome.REPLAYED, 1, Outcome.PASS_OUTDATED)
    assert (await store.claims.claim("r1", identities(2), other.round.epoch))[0].outcome is Outcome.GRANTED


async def test_revoked_passes_are_outdated(store: Ports) -> None:
    """Revoking begins a new epoch and changes nothing else."""
    created = await store.rounds.round_create(definition(), "")
    revoked = await store.rounds.round_edit("r1", {}, "leaked", action=EditAction.REVOKE_PASSES)
    assert created.round is not None
    assert revoked.round == replace(created.round, version=2, epoch=FIRST_EPOCH + 1)
    assert (await store.claims.claim("r1", identities(1), FIRST_EPOCH))[0].outcome is Outcome.PASS_OUTDATED


async def test_under_no_epoch_claims_are_only_replayed(store: Ports) -> None:
    """Who holds a claim gets it; nothing is granted, whatever the round's state."""
    await store.rounds.round_create(definition(total=9), "")
    await store.claims.claim("r1", identities(1))
    assert await outcomes(store, identities(1, 2)) == [(Outcome.REPLAYED, 1), (Outcome.GRANTED, 2)]
    decisions = await store.claims.claim("r1", identities(1, 3), NO_EPOCH)
    assert [decision.outcome for decision in decisions] == [Outcome.REPLAYED, Outcome.PASS_OUTDATED]
    await store.rounds.round_edit("r1", {"closed": True}, "")
    assert [item.outcome for item in await store.claims.claim("r1", identities(1, 3), NO_EPOCH)] == [
        Outcome.REPLAYED,
        Outcome.PASS_OUTDATED,
    ]


async def test_a_relative_change_adds_to_the_total_of_the_moment(store: Ports) -> None:
    """The log has the total as it is afterwards."""
    await store.rounds.round_create(definition(total=1_500_000), "")
    for changes, total in (({"total_change": 100}, 1_500_100), ({"total_change": -50, "title": "T"}, 1_500_050)):
        edited = await store.rounds.round_edit("r1", changes, "more")
        assert edited.round is not None
        assert edited.round.definition.total == total
    assert [
        entry.fields.get("total") async for entry in store.log_reader.log("r1") if isinstance(entry, EditEntry)
    ] == [
        "1500000",
        "1500100",
        "1500050",
    ]


@pytest.mark.parametrize(
    ("total_change", "outcome"),
    [
        (-3, EditOutcome.TOTAL_BELOW_ISSUED),
        (-5, EditOutcome.INVALID_TOTAL),
        (MAX_TOTAL - 3, EditOutcome.INVALID_TOTAL),
        (MAX_TOTAL - 4, EditOutcome.DONE),
        (-2, EditOutcome.DONE),
    ],
)
async def test_a_relative_change_keeps_to_the_bounds(store: Ports, total_change: int, outcome: EditOutcome) -> None:
    """Not below what was issued, not below 0, not above the largest total; a refused one leaves no trace."""
    await store.rounds.round_create(definition(total=4), "")
    await store.claims.claim("r1", identities(1, 2))
    before = (await store.rounds.round("r1")).round
    edited = await store.rounds.round_edit("r1", {"total_change": total_change}, "more or less")
    assert edited.outcome is outcome
    if outcome is not EditOutcome.DONE:
        assert (await store.rounds.round("r1")).round == before == edited.round


async def test_an_edit_for_another_version_changes_nothing(store: Ports) -> None:
    """Of two operators who have read the same version, the second one learns that it has changed."""
    await store.rounds.round_create(definition(total=4), "")
    first = await store.rounds.round_edit("r1", {"total": 5}, "one more", if_version=1, who="ada")
    second = await store.rounds.round_edit("r1", {"total": 6}, "two more", if_version=1, who="bob")
    assert (first.outcome, second.outcome) == (EditOutcome.DONE, EditOutcome.VERSION_MISMATCH)
    assert second.round == first.round == (await store.rounds.round("r1")).round
    entries = [entry async for entry in store.log_reader.log("r1") if isinstance(entry, EditEntry)]
    assert [(entry.action, entry.who, entry.version) for entry in entries] == [
        ("create", "admin", 1),
        ("edit", "ada", 2),
    ]


async def test_a_round_without_grants_can_be_deleted(store: Ports) -> None:
    """It is gone for every reader and in no list; a new one of its id goes on with version and epoch."""
    await store.rounds.round_create(definition(total=4), "")
    deleted = await store.rounds.round_delete("r1", "a slip", who="ada")
    assert deleted.outcome is EditOutcome.DONE
    assert (await store.rounds.round("r1")).round is None
    assert await listed(store.rounds) == []
    (found,) = await store.claims.find_claims("r1", identities(1))
    assert found.outcome is Outcome.ROUND_NOT_FOUND
    assert await outcomes(store, identities(1)) == [(Outcome.ROUND_NOT_FOUND, 0)]
    assert (await store.rounds.round_edit("r1", {"total": 1}, "")).outcome is EditOutcome.ROUND_NOT_FOUND
    assert (await store.rounds.round_delete("r1", "again")).outcome is EditOutcome.ROUND_NOT_FOUND
    again = await store.rounds.round_create(definition(total=7), "")
    assert again.round is not None
    assert (again.outcome, again.round.version, again.round.issued) == (EditOutcome.DONE, 3, 0)
    assert (await store.claims.claim("r1", identities(1), FIRST_EPOCH))[0].outcome is Outcome.PASS_OUTDATED
    assert (await store.claims.claim("r1", identities(1), again.round.epoch))[0].outcome is Outcome.GRANTED


async def test_a_round_with_grants_stays(store: Ports) -> None:
    """Also once everything that was issued is sold out or closed; so does one of another version."""
    await store.rounds.round_create(definition(total=1), "")
    assert (await store.rounds.round_delete("r1", "", if_version=2)).outcome is EditOutcome.VERSION_MISMATCH
    await store.claims.claim("r1", identities(1))
    await store.rounds.round_edit("r1", {"closed": True}, "")
    before = (await store.rounds.round("r1")).round
    assert (await store.rounds.round_delete("r1", "")).outcome is EditOutcome.HAS_CLAIMS
    assert (await store.rounds.round("r1")).round == before


async def archived(store: Ports, round_id: str = "r1", **changes: Any) -> Edited:
    """Archive a round as it is now, with these arguments changed."""
    item = (await store.rounds.round(round_id)).round
    version, issued, voided = (item.version, item.issued, item.voided) if item else (1, 0, 0)
    given: dict[str, Any] = {
        "version": version,
        "issued": issued,
        "voided": voided,
        "sha256": "ab" * 32,
        "file": "/archive/f",
        "reason": "over",
    }
    return await store.rounds.round_archive(round_id, **{**given, **changes})


async def test_an_archived_round_leaves_a_stub(store: Ports) -> None:
    """Its claims and log are gone, and what was asked of the round is refused for that alone; the id stays taken."""
    await store.rounds.round_create(definition(total=5, pack={"vouchers": 5}, eligibility={"city": ["x"]}), "")
    await store.claims.claim("r1", identities(1, 2))
    await store.rounds.round_edit("r1", {"closed": True}, "done")
    edited = await archived(store, who="ada")
    stub = edited.archived
    assert (edited.outcome, edited.round) == (EditOutcome.DONE, None)
    assert stub is not None
    assert stub == Archived(
        "r1", "A round", 5, 2, 2, file="/archive/f", sha256="ab" * 32, at_ms=edited.now_ms, who="ada", reason="over"
    )
    reading = await store.rounds.round("r1")
    assert (reading.round, reading.archived) == (None, stub)
    assert await listed(store.rounds, ANY_STATUS) == []
    assert [item async for item in store.log_reader.claims("r1")] == []
    assert [item async for item in store.log_reader.log("r1")] == []
    assert await outcomes(store, identities(1, 9)) == [(Outcome.ARCHIVED, 0)] * 2
    assert [item.outcome for item in await store.claims.claim("r1", identities(1), NO_EPOCH)] == [Outcome.ARCHIVED]
    found = await store.claims.find_claims("r1", identities(1, 9))
    assert [(decision.outcome, decision.serial) for decision in found] == [(Outcome.ARCHIVED, 0)] * 2
    refusals = (
        (await store.rounds.round_edit("r1", {"total": 9, "closed": False}, ""), EditOutcome.ARCHIVED),
        (await store.rounds.round_edit("r1", {"total": 9}, "", if_version=7), EditOutcome.ARCHIVED),
        (await store.rounds.round_delete("r1", ""), EditOutcome.ARCHIVED),
        (await store.rounds.round_create(definition(), ""), EditOutcome.ROUND_EXISTS),
    )
    assert [(refused.outcome, refused.archived) for refused, _ in refusals] == [(word, stub) for _, word in refusals]
    assert (await store.rounds.round("r1")).archived == stub


async def test_archiving_again_changes_nothing(store: Ports) -> None:
    """After a lost reply, a retry with another file gets the stub of the first."""
    await store.rounds.round_create(definition(total=5), "")
    await store.rounds.round_edit("r1", {"closed": True}, "done")
    first = await archived(store)
    again = await archived(store, sha256="cd" * 32, file="/archive/other", version=77, reason="again")
    assert (again.outcome, again.archived) == (EditOutcome.DONE, first.archived)


@pytest.mark.parametrize(
    ("before", "changes", "outcome"),
    [
        ({}, {}, EditOutcome.NOT_CLOSED),
        ({"paused": True}, {}, EditOutcome.NOT_CLOSED),
        ({"opens_at_ms": now_ms() + HOUR_MS // 2}, {}, EditOutcome.NOT_CLOSED),
        ({"closed": True}, {"version": 1}, EditOutcome.VERSION_MISMATCH),
        ({"closed": True}, {"issued": 1}, EditOutcome.VERSION_MISMATCH),
        ({"closed": True}, {"issued": 3}, EditOutcome.VERSION_MISMATCH),
        ({"opens_at_ms": 1, "closes_at_ms": 2}, {}, EditOutcome.DONE),
    ],
)
async def test_what_is_not_over_or_not_in_the_file_stays(
    store: Ports, before: dict[str, Any], changes: dict[str, Any], outcome: EditOutcome
) -> None:
    """Only a round that is closed, in the state that the file has, leaves; else not one claim of it does."""
    await store.rounds.round_create(definition(total=5), "")
    await store.claims.claim("r1", identities(1, 2))
    if before:
        await store.rounds.round_edit("r1", before, "")
    reading, log = (await store.rounds.round("r1")).round, [entry async for entry in store.log_reader.log("r1")]
    edited = await archived(store, **changes)
    assert edited.outcome is outcome
    if outcome is not EditOutcome.DONE:
        assert (edited.round, edited.archived) == (reading, None)
        assert (await store.rounds.round("r1")).round == reading
        assert [entry async for entry in store.log_reader.log("r1")] == log
        assert len([item async for item in store.log_reader.claims("r1")]) == 2


async def test_no_round_is_archived_where_there_is_none(store: Ports) -> None:
    """The outcome is ROUND_NOT_FOUND, without a stub; the same for a round that was deleted."""
    assert (await archived(store, "nowhere")).outcome is EditOutcome.ROUND_NOT_FOUND
    assert (await store.rounds.round("nowhere")).archived is None
    await store.rounds.round_create(definition(), "")
    await store.rounds.round_delete("r1", "")
    assert (await archived(store)).outcome is EditOutcome.ROUND_NOT_FOUND


async def test_other_rounds_stay_whole(store: Ports) -> None:
    """Archiving takes nothing but its own."""
    for name in ("a", "b"):
        await store.rounds.round_create(definition(name), "")
        await store.claims.claim(name, identities(1, 2))
        await store.rounds.round_edit(name, {"closed": True}, "")
    await archived(store, "a")
    assert [item.id for item in await listed(store.rounds, ANY_STATUS)] == ["b"]
    assert await outcomes(store, identities(2, 1), "b") == [(Outcome.REPLAYED, 2), (Outcome.REPLAYED, 1)]
    assert len([entry async for entry in store.log_reader.log("b")]) == 3


async def test_a_batch_of_lookups_of_the_largest_size(store: Ports) -> None:
    """Each identity gets its own claim, also at the ends of the batch, and nothing is written."""
    await store.rounds.round_create(definition(total=2), "")
    people = identities(*range(1, MAX_BATCH + 1))
    await store.claims.claim("r1", [people[0], people[-1]])
    before = (await store.rounds.round("r1")).round
    found = await store.claims.find_claims("r1", people)
    assert [decision.serial for decision in found] == [1, *[0] * (MAX_BATCH - 2), 2]
    assert (await store.rounds.round("r1")).round == before


async def test_an_outdated_claim_has_the_epoch_of_the_round(store: Ports) -> None:
    """A reader of an earlier round can tell by it whether the eligibility was edited since."""
    await store.rounds.round_create(definition(total=2), "")
    await store.rounds.round_edit("r1", {"eligibility": {"city": ["a"]}}, "")
    for epoch in (FIRST_EPOCH, NO_EPOCH):
        (decision,) = await store.claims.claim("r1", identities(1), epoch)
        assert (decision.outcome, decision.epoch) == (Outcome.PASS_OUTDATED, 1)


async def test_many_rounds_are_read_at_once(store: Ports) -> None:
    """Each in the place of its id, also one that is not there, as of one moment."""
    await store.rounds.round_create(definition("r1"), "")
    await store.rounds.round_create(definition("r2"), "")
    readings = await store.rounds.readings(["r2", "nowhere", "r1", "r2"])
    assert not any(isinstance(reading, StoreDamaged) for reading in readings)
    assert [reading.round and reading.round.id for reading in readings if isinstance(reading, Reading)] == [
        "r2",
        None,
        "r1",
        "r2",
    ]
    assert len({reading.now_ms for reading in readings if isinstance(reading, Reading)}) == 1


async def test_a_void_gives_the_pack_back_once(store: Ports) -> None:
    """The pack is claimable at once, though all had gone; the serial is not given again, and its person may claim."""
    await store.rounds.round_create(definition(total=2), "")
    assert await outcomes(store, identities(1, 2, 3)) == [
        (Outcome.GRANTED, 1),
        (Outcome.GRANTED, 2),
        (Outcome.SOLD_OUT, 0),
    ]
    first = await store.voids.claim_void("r1", 1, bar=False, reason="fraud")
    assert first.claim is not None
    assert (first.outcome, first.claim.serial, first.claim.identity, first.claim.barred) == (
        EditOutcome.DONE,
        1,
        identity(1),
        False,
    )
    # However often it is asked, and whatever is asked then.
    for bar in (False, True):
        again = await store.voids.claim_void("r1", 1, bar=bar, reason="again")
        assert (again.outcome, again.claim) == (EditOutcome.DONE, first.claim)
    reading = await store.rounds.round("r1")
    assert reading.round is not None
    assert (reading.round.held, reading.round.remaining, reading.round.version) == (1, 1, 1)
    assert reading.round.status(reading.now_ms) is Status.OPEN
    assert [found.outcome for found in await store.claims.find_claims("r1", identities(1, 2))] == [
        Outcome.NOT_CLAIMED,
        Outcome.REPLAYED,
    ]
    assert await outcomes(store, identities(1, 3)) == [(Outcome.GRANTED, 3), (Outcome.SOLD_OUT, 0)]
    assert [void async for void in store.log_reader.voids("r1")] == [first.claim]
    assert {claim.serial async for _, claim in store.log_reader.claims("r1")} == {2, 3}
    voids = [entry async for entry in store.log_reader.log("r1") if isinstance(entry, VoidEntry)]
    assert [(entry.claim, entry.reason, entry.version) for entry in voids] == [(first.claim, "fraud", 1)]


async def test_a_person_who_is_barred_claims_no_more(store: Ports) -> None:
    """In this round: not when packs come back, nor under another epoch; a lookup finds nothing."""
    for round_id in ("r1", "r2"):
        await store.rounds.round_create(definition(round_id, total=2), "")
    await store.claims.claim("r1", identities(1))
    await store.voids.claim_void("r1", 1, bar=True, reason="fraud")
    for epoch in (FIRST_EPOCH, NO_EPOCH):
        (refused,) = await store.claims.claim("r1", identities(1), epoch)
        assert (refused.outcome, refused.serial) == (Outcome.BARRED, 0)
    (found,) = await store.claims.find_claims("r1", identities(1))
    assert found.outcome is Outcome.NOT_CLAIMED
    assert await outcomes(store, identities(1), "r2") == [(Outcome.GRANTED, 1)]
    assert [item async for item in store.log_reader.claims("r1")] == []


async def test_only_a_claim_can_be_voided(store: Ports) -> None:
    """Not a serial that was never given out, nor one of a round that does not exist or was archived."""
    voided = await store.voids.claim_void("r1", 1, bar=False, reason="fraud")
    assert (voided.outcome, voided.claim) == (EditOutcome.ROUND_NOT_FOUND, None)
    await store.rounds.round_create(definition(total=2), "")
    await store.claims.claim("r1", identities(1))
    for serial in (0, 2, 10**12):
        voided = await store.voids.claim_void("r1", serial, bar=True, reason="fraud")
        assert (voided.outcome, voided.claim) == (EditOutcome.NO_SUCH_CLAIM, None)
    assert await outcomes(store, identities(1)) == [(Outcome.REPLAYED, 1)]
    await store.rounds.round_edit("r1", {"closed": True}, "over")
    await store.rounds.round_archive("r1", version=2, issued=1, voided=0, sha256="", file="", reason="")
    voided = await store.voids.claim_void("r1", 1, bar=False, reason="fraud")
    assert voided.outcome is EditOutcome.ARCHIVED


async def test_a_total_may_be_lowered_to_what_is_held(store: Ports) -> None:
    """A voided claim does not count; a round in which something was claimed is not deleted, whatever was voided."""
    await store.rounds.round_create(definition(total=3), "")
    await store.claims.claim("r1", identities(1, 2))
    await store.voids.claim_void("r1", 2, bar=False, reason="fraud")
    assert (await store.rounds.round_edit("r1", {"total": 0}, "")).outcome is EditOutcome.TOTAL_BELOW_ISSUED
    assert (await store.rounds.round_edit("r1", {"total": 1}, "")).outcome is EditOutcome.DONE
    assert await outcomes(store, identities(3)) == [(Outcome.SOLD_OUT, 0)]
    await store.voids.claim_void("r1", 1, bar=False, reason="fraud")
    assert (await store.rounds.round_delete("r1", "")).outcome is EditOutcome.HAS_CLAIMS


async def test_a_claim_is_found_in_a_long_log(store: Ports) -> None:
    """Whose claim a serial is, the log alone knows: with batches of all sizes, edits between them, and equal times."""
    await store.rounds.round_create(definition(total=3000), "")
    serial_of: dict[int, int] = {}
    first = 0
    for size in (1, 512, 3, 1, 1, 200, 512, 7, 1, 90):
        people = range(first, first + size)
        for person, decision in zip(people, await store.claims.claim("r1", identities(*people)), strict=True):
            serial_of[person] = decision.serial
        first += size
        await store.rounds.round_edit("r1", {"title": f"after {first}"}, "between")
    for person in (0, 1, 2, 512, 513, 515, 516, 517, 518, 700, 1000, 1237, first - 91, first - 90, first - 1):
        voided = await store.voids.claim_void("r1", serial_of[person], bar=False, reason="fraud")
        assert voided.claim is not None
        assert voided.claim.identity == identity(person)


async def test_a_void_during_archiving_keeps_the_round(store: Ports) -> None:
    """The file has been written without it: nothing is removed."""
    await store.rounds.round_create(definition(total=2), "")
    await store.claims.claim("r1", identities(1, 2))
    await store.rounds.round_edit("r1", {"closed": True}, "over")
    await store.voids.claim_void("r1", 1, bar=False, reason="fraud")
    assert (await archived(store, voided=0)).outcome is EditOutcome.VERSION_MISMATCH
    assert (await archived(store)).outcome is EditOutcome.DONE
    assert [void async for void in store.log_reader.voids("r1")] == []
