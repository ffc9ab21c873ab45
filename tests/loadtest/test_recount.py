"""The recount of a drop: a correct round has no violations, and every single corruption is caught."""

from collections.abc import Callable

import numpy as np
import pytest

from claimd.domain.claims import IDENTITY_BYTES
from loadtest.client.answers import Answer
from loadtest.client.credentials import IDENTITY_END
from loadtest.crowd.schedule import Kind
from loadtest.history.export import read_export
from tests.loadtest.drops import PEOPLE, POOL, ROUND, SmallDrop


def swap_two_identities(drop: SmallDrop) -> None:
    identities = drop.export.identities.copy()
    identities[[5, 6]] = identities[[6, 5]]
    drop.edit_export(identities=identities)


def lose_a_claim(drop: SmallDrop) -> None:
    keep = np.arange(POOL) != 7
    drop.edit_export(
        serials=drop.export.serials[keep],
        identities=drop.export.identities[keep],
        claimed_at_ms=drop.export.claimed_at_ms[keep],
    )


def add_claim(drop: SmallDrop, serial: int, identity: bytes) -> None:
    export = drop.export
    drop.edit_export(
        serials=np.append(export.serials, serial),
        identities=np.append(export.identities, identity),
        claimed_at_ms=np.append(export.claimed_at_ms, export.claimed_at_ms[-1]),
    )


def grant_one_more(drop: SmallDrop) -> None:
    add_claim(drop, POOL + 1, drop.everyone[POOL])


def grant_to_an_unknown_identity(drop: SmallDrop) -> None:
    identities = drop.export.identities.copy()
    identities[9] = b"\xee" * IDENTITY_BYTES + IDENTITY_END
    drop.edit_export(identities=identities)


def grant_two_claims_to_one_identity(drop: SmallDrop) -> None:
    identities = drop.export.identities.copy()
    identities[9] = identities[8]
    drop.edit_export(identities=identities)


def repeat_a_serial(drop: SmallDrop) -> None:
    serials = drop.export.serials.copy()
    serials[9] = 9
    drop.edit_export(serials=serials)


def leave_a_gap(drop: SmallDrop) -> None:
    serials = drop.export.serials.copy()
    serials[-1] = POOL + 5
    drop.edit_export(serials=serials)


def change_a_time(drop: SmallDrop) -> None:
    times = drop.export.claimed_at_ms.copy()
    times[3] += 1
    drop.edit_export(claimed_at_ms=times)


def replay_another_serial(drop: SmallDrop) -> None:
    drop.row(3, Kind.AGAIN)["serial"] = 5


def grant_twice(drop: SmallDrop) -> None:
    drop.row(3, Kind.AGAIN)["answer"] = Answer.GRANTED


def replay_what_was_never_granted(drop: SmallDrop) -> None:
    drop.row(3)["answer"] = Answer.REPLAYED


def refuse_a_winner(drop: SmallDrop) -> None:
    drop.row(3, Kind.AGAIN)["answer"] = Answer.SOLD_OUT


def refuse_while_packs_are_left(drop: SmallDrop) -> None:
    drop.row(POOL)["done"] = 1.0


def refuse_a_granted_request(drop: SmallDrop) -> None:
    row = drop.row(12)
    row["answer"], row["serial"], row["claimed_at_ms"] = Answer.SOLD_OUT, 0, 0


def export_a_malformed_line(drop: SmallDrop) -> None:
    drop.edit_export(malformed=1)


def change_the_audit(drop: SmallDrop) -> None:
    drop.audit["issued"] = POOL - 1


def fail_the_audit(drop: SmallDrop) -> None:
    drop.audit = {"ok": False, "error": "no answer"}


@pytest.mark.parametrize(
    ("corrupt", "caught_as"),
    [
        (swap_two_identities, "told_anothers"),
        (lose_a_claim, "told_but_not_exported"),
        (lose_a_claim, "serials_missing"),
        (grant_one_more, "oversold"),
        (grant_one_more, "exported_but_untold"),
        (grant_to_an_unknown_identity, "strangers"),
        (grant_two_claims_to_one_identity, "identities_repeated"),
        (repeat_a_serial, "serials_repeated"),
        (leave_a_gap, "serials_missing"),
        (change_a_time, "told_another_time"),
        (replay_another_serial, "replays_disagree"),
        (grant_twice, "granted_twice"),
        (replay_what_was_never_granted, "never_granted"),
        (refuse_a_winner, "refused_and_granted"),
        (refuse_while_packs_are_left, "sold_out_too_early"),
        (refuse_a_granted_request, "exported_but_untold"),
        (export_a_malformed_line, "malformed"),
        (change_the_audit, "audit_disagrees"),
        (fail_the_audit, "audit_disagrees"),
    ],
)
def test_each_corruption_is_caught(corrupt: Callable[[SmallDrop], None], caught_as: str) -> None:
    """By the count of that name."""
    drop = SmallDrop()
    corrupt(drop)
    counted = drop.recount()
    assert not counted.ok
    assert counted.violations()[caught_as] >= 1


def test_a_correct_drop_has_no_violations() -> None:
    """And the totals are right."""
    counted = SmallDrop().recount()
    assert counted.violations() == {}
    assert counted.ok
    assert (counted.exported, counted.told_granted, counted.told_replayed, counted.unknown) == (POOL, POOL, 2, 0)


def test_a_lost_answer_leaves_a_grant_unknown() -> None:
    """A request on a dropped connection may have been granted: an error of the run, not a violation."""
    drop = SmallDrop()
    row = drop.row(12)
    row["answer"], row["serial"], row["claimed_at_ms"] = Answer.DROPPED, 0, 0
    counted = drop.recount()
    assert counted.ok
    assert counted.unknown == 1


def test_a_replay_after_a_lost_grant_is_no_violation() -> None:
    """The first answer was lost, the retry returned the claim."""
    drop = SmallDrop()
    drop.row(3)["answer"] = Answer.DROPPED
    assert drop.recount().ok


def test_sold_out_within_the_clock_error_is_accepted() -> None:
    """A refusal within the clock's error before the last grant proves nothing."""
    drop = SmallDrop()
    last = (POOL - 1) / 10 + 0.002
    drop.row(POOL)["done"] = last - 0.001
    assert drop.recount().ok
    drop.row(POOL)["done"] = last - 0.003
    assert drop.recount().violations() == {"sold_out_too_early": 1}


def test_an_empty_export() -> None:
    """Every answer that returned a claim is a violation."""
    drop = SmallDrop()
    drop.edit_export(
        serials=drop.export.serials[:0],
        identities=drop.export.identities[:0],
        claimed_at_ms=drop.export.claimed_at_ms[:0],
    )
    assert drop.recount().told_but_not_exported == POOL + 2


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 20])
def test_an_export_is_read_in_pieces_of_any_size(size: int) -> None:
    """Lines may be split across pieces."""
    drop = SmallDrop()
    text = drop.ndjson()
    export = read_export((text[at : at + size] for at in range(0, len(text), size)), ROUND)
    assert export.malformed == 0
    assert np.array_equal(export.serials, drop.export.serials)
    assert np.array_equal(export.identities, drop.export.identities)
    assert np.array_equal(export.claimed_at_ms, drop.export.claimed_at_ms)


@pytest.mark.parametrize(
    "line",
    [
        b"{", b"[]", b"null", b'"x"', b"{}",
        b'{"serial":"1","id":"x","identity":"00","claimed_at":"2020-04-02T20:00:00.000Z"}',
        b'{"serial":1,"id":"other-1","identity":"00112233445566778899aabbccddeeff","claimed_at":"2020-04-02T20:00:00.000Z"}',
    ],
)  # fmt: skip
def test_malformed_lines_are_counted(line: bytes) -> None:
    """And the other lines are read."""
    drop = SmallDrop()
    export = read_export([drop.ndjson(), line, b"\n"], ROUND)
    assert export.malformed == 1
    assert len(export) == POOL


def test_identities_that_end_in_zeros_stay_distinct() -> None:
    """numpy takes zeros at the end of a byte string for padding."""
    drop = SmallDrop()
    zeros = np.array([b"\x01" * (IDENTITY_BYTES - 1) + b"\x00" + IDENTITY_END], drop.everyone.dtype)
    drop.everyone = drop.everyone.copy()
    drop.everyone[2] = zeros[0]
    drop.edit_export(identities=drop.everyone[:POOL].copy())
    assert drop.recount().ok
    assert len(np.unique(drop.everyone)) == PEOPLE
