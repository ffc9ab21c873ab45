"""The recount finds a round that kept its promises in order, and catches every single way of breaking them."""

import numpy as np
import pytest
from drops import PEOPLE, POOL, ROUND, SmallDrop

from loadtest.client.answers import Answer
from loadtest.crowd.schedule import Kind
from loadtest.history.export import read_export


def swap_two_identities(drop):
    identities = drop.export.identities.copy()
    identities[[5, 6]] = identities[[6, 5]]
    drop.edit_export(identities=identities)


def lose_a_claim(drop):
    keep = np.arange(POOL) != 7
    drop.edit_export(
        serials=drop.export.serials[keep],
        identities=drop.export.identities[keep],
        claimed_at_ms=drop.export.claimed_at_ms[keep],
    )


def add_claims(drop, serials, identities):
    export = drop.export
    drop.edit_export(
        serials=np.append(export.serials, serials),
        identities=np.append(export.identities, identities),
        claimed_at_ms=np.append(export.claimed_at_ms, export.claimed_at_ms[-1]),
    )


def give_one_more(drop):
    add_claims(drop, POOL + 1, drop.everyone[POOL])


def give_to_a_stranger(drop):
    identities = drop.export.identities.copy()
    identities[9] = b"\xee" * 16 + b"\x01"
    drop.edit_export(identities=identities)


def give_twice_to_one(drop):
    identities = drop.export.identities.copy()
    identities[9] = identities[8]
    drop.edit_export(identities=identities)


def repeat_a_serial(drop):
    serials = drop.export.serials.copy()
    serials[9] = 9
    drop.edit_export(serials=serials)


def leave_a_gap(drop):
    serials = drop.export.serials.copy()
    serials[-1] = POOL + 5
    drop.edit_export(serials=serials)


def change_a_time(drop):
    times = drop.export.claimed_at_ms.copy()
    times[3] += 1
    drop.edit_export(claimed_at_ms=times)


def replay_another_serial(drop):
    drop.row(3, Kind.AGAIN)["serial"] = 5


def grant_twice(drop):
    drop.row(3, Kind.AGAIN)["answer"] = Answer.GRANTED


def replay_what_was_never_granted(drop):
    drop.row(3)["answer"] = Answer.REPLAYED


def refuse_a_winner(drop):
    drop.row(3, Kind.AGAIN)["answer"] = Answer.SOLD_OUT


def refuse_while_packs_are_left(drop):
    drop.row(POOL)["done"] = 1.0


def keep_a_grant_secret(drop):
    row = drop.row(12)
    row["answer"], row["serial"], row["claimed_at_ms"] = Answer.SOLD_OUT, 0, 0


def export_nonsense(drop):
    drop.edit_export(malformed=1)


def audit_otherwise(drop):
    drop.audit["issued"] = POOL - 1


def audit_not_at_all(drop):
    drop.audit = {"ok": False, "error": "no answer"}


@pytest.mark.parametrize(
    ("corrupt", "caught_as"),
    [
        (swap_two_identities, "told_anothers"),
        (lose_a_claim, "told_but_not_exported"),
        (lose_a_claim, "serials_missing"),
        (give_one_more, "oversold"),
        (give_one_more, "exported_but_untold"),
        (give_to_a_stranger, "strangers"),
        (give_twice_to_one, "identities_repeated"),
        (repeat_a_serial, "serials_repeated"),
        (leave_a_gap, "serials_missing"),
        (change_a_time, "told_another_time"),
        (replay_another_serial, "replays_disagree"),
        (grant_twice, "granted_twice"),
        (replay_what_was_never_granted, "never_granted"),
        (refuse_a_winner, "refused_and_granted"),
        (refuse_while_packs_are_left, "sold_out_too_early"),
        (keep_a_grant_secret, "exported_but_untold"),
        (export_nonsense, "malformed"),
        (audit_otherwise, "audit_disagrees"),
        (audit_not_at_all, "audit_disagrees"),
    ],
)
def test_each_corruption_is_caught(corrupt, caught_as):
    """By the count that is named for it."""
    drop = SmallDrop()
    corrupt(drop)
    counted = drop.recount()
    assert not counted.ok
    assert counted.violations()[caught_as] >= 1


def test_a_round_that_kept_its_promises():
    """Nothing is found, and the totals are right."""
    counted = SmallDrop().recount()
    assert counted.violations() == {}
    assert counted.ok
    assert (counted.exported, counted.told_granted, counted.told_replayed, counted.unknown) == (POOL, POOL, 2, 0)


def test_a_lost_answer_leaves_a_grant_unknown_not_wrong():
    """A connection that dropped may have been granted: that is an error of the run, not a broken promise."""
    drop = SmallDrop()
    row = drop.row(12)
    row["answer"], row["serial"], row["claimed_at_ms"] = Answer.DROPPED, 0, 0
    counted = drop.recount()
    assert counted.ok
    assert counted.unknown == 1


def test_a_replay_after_a_lost_grant_is_in_order():
    """The first answer was lost, the second tap showed the claim."""
    drop = SmallDrop()
    drop.row(3)["answer"] = Answer.DROPPED
    assert drop.recount().ok


def test_clocks_may_differ_by_what_is_known():
    """A refusal heard within the clocks' error of the last grant proves nothing."""
    drop = SmallDrop()
    last = (POOL - 1) / 10 + 0.002
    drop.row(POOL)["done"] = last - 0.001
    assert drop.recount().ok
    drop.row(POOL)["done"] = last - 0.003
    assert drop.recount().violations() == {"sold_out_too_early": 1}


def test_an_empty_round():
    """Nobody got anything, and nobody was told so."""
    drop = SmallDrop()
    drop.edit_export(
        serials=drop.export.serials[:0],
        identities=drop.export.identities[:0],
        claimed_at_ms=drop.export.claimed_at_ms[:0],
    )
    assert drop.recount().told_but_not_exported == POOL + 2


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 20])
def test_an_export_is_read_in_pieces_of_any_size(size):
    """Lines do not end where pieces do."""
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
def test_lines_that_are_no_claims_are_counted(line):
    """Whatever is in them, and the others are read all the same."""
    drop = SmallDrop()
    export = read_export([drop.ndjson(), line, b"\n"], ROUND)
    assert export.malformed == 1
    assert len(export) == POOL


def test_an_identity_that_ends_in_zeros():
    """numpy takes zeros at the end of a byte string for padding; the digests must not fall for it."""
    drop = SmallDrop()
    zeros = np.array([b"\x01" * 15 + b"\x00" + b"\x01"], drop.everyone.dtype)
    drop.everyone = drop.everyone.copy()
    drop.everyone[2] = zeros[0]
    drop.edit_export(identities=drop.everyone[:POOL].copy())
    assert drop.recount().ok
    assert len(np.unique(drop.everyone)) == PEOPLE
