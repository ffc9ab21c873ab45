"""The history checker on whole visits: each rule on readings, passes and look-ups has a history that breaks it."""

from collections.abc import Callable

import numpy as np
import pytest

from loadtest.client.answers import Answer
from loadtest.client.visit_answers import RoundState
from loadtest.crowd.schedule import Kind
from loadtest.history.readings import OLDEST_MS
from tests.loadtest.drops import OPENS_AT_MS, PEOPLE, POOL
from tests.loadtest.visit_histories import CLOSES_AT_MS, VISIT_VIOLATIONS, SmallEvening

CLIENT = 7
WATCHER = -1


def change(at: float, client: int = CLIENT, **columns: int) -> Callable[[SmallEvening], None]:
    """Change columns of a client's reading."""

    def corrupt(evening: SmallEvening) -> None:
        for name, value in columns.items():
            evening.reading(client, at)[name] = value

    return corrupt


def show_issued(at: float, issued: int, client: int = CLIENT) -> Callable[[SmallEvening], None]:
    """A reading with another count, whose remainder fits."""
    return change(at, client, issued=issued, remaining=POOL - issued)


def deny_a_claim(evening: SmallEvening) -> None:
    row = evening.row(3, Kind.MINE)
    row["answer"], row["serial"], row["claimed_at_ms"] = Answer.NOT_CLAIMED, 0, 0


def show_another_serial(evening: SmallEvening) -> None:
    evening.row(3, Kind.MINE)["serial"] = 9


def show_another_time(evening: SmallEvening) -> None:
    evening.row(3, Kind.MINE)["claimed_at_ms"] += 1


def show_a_claim_that_is_none(evening: SmallEvening) -> None:
    row = evening.row(POOL, Kind.MINE)
    row["answer"], row["serial"], row["claimed_at_ms"] = Answer.HELD, POOL + 1, OPENS_AT_MS


def sell_out_with_packs_left(evening: SmallEvening) -> None:
    evening.reading(CLIENT, 1.5)["state"] = RoundState.SOLD_OUT


def give_a_pass_of_another(evening: SmallEvening) -> None:
    evening.passes["identity"][4] = evening.everyone[5]


def give_a_pass_for_an_hour(evening: SmallEvening) -> None:
    evening.passes["expires_at_ms"][4] = CLOSES_AT_MS


CORRUPTIONS = [
    (deny_a_claim, "not_claimed_untruly"),
    (show_another_serial, "told_anothers"),
    (show_another_serial, "replays_disagree"),
    (show_another_time, "told_another_time"),
    (show_a_claim_that_is_none, "told_but_not_exported"),
    (show_issued(2.5, 3), "issued_went_back"),
    (show_issued(2.5, 3, WATCHER), "issued_went_back"),
    (show_issued(-0.5, -1), "issued_beyond_total"),
    (change(4.5, issued=POOL + 1, remaining=-1), "issued_beyond_total"),
    (change(1.5, remaining=1), "issued_beyond_total"),
    (show_issued(0.5, 7), "issued_untrue"),
    (show_issued(4.5, 20), "issued_untrue"),
    (show_issued(5.0, 5), "issued_untrue"),
    (change(-0.5, state=RoundState.OPEN), "status_untrue"),
    (change(2.5, state=RoundState.SCHEDULED), "status_untrue"),
    (change(4.5, state=RoundState.OPEN), "status_untrue"),
    (change(1.5, state=RoundState.PAUSED), "status_untrue"),
    (change(-2.0, opens_at_ms=OPENS_AT_MS + 1), "status_untrue"),
    (sell_out_with_packs_left, "status_untrue"),
    (give_a_pass_of_another, "passes_of_others"),
    (give_a_pass_for_an_hour, "passes_too_short"),
]


@pytest.mark.parametrize(("corrupt", "caught_as"), CORRUPTIONS)
def test_each_corruption_is_caught(corrupt: Callable[[SmallEvening], None], caught_as: str) -> None:
    """By the count of that name."""
    evening = SmallEvening()
    corrupt(evening)
    assert evening.recount().violations()[caught_as] >= 1


def test_every_violation_of_visits_is_tried() -> None:
    """A new kind of violation needs a corruption that causes it."""
    assert {caught_as for _, caught_as in CORRUPTIONS} >= VISIT_VIOLATIONS


def test_a_correct_evening_has_no_violations() -> None:
    """With a clock or without; the totals count readings, passes and look-ups."""
    counted = SmallEvening().recount()
    assert counted.violations() == SmallEvening().recount(clock=None).violations() == {}
    assert (counted.readings, counted.passes, counted.looked_up) == (14, PEOPLE, PEOPLE)
    assert set(counted.as_dict()) >= VISIT_VIOLATIONS


def test_a_reading_may_be_old() -> None:
    """Shared by a gateway or kept by a cache, it shows what was true shortly before; two may be of different age."""
    evening = SmallEvening()
    show_issued(4.5, POOL - OLDEST_MS // 100 + 6)(evening)
    change(4.5, state=RoundState.OPEN)(evening)
    newer = evening.reading(WATCHER, 2.5)
    newer["server_ms"] = evening.reading(WATCHER, 1.5)["server_ms"] + 100
    newer["issued"] = evening.reading(WATCHER, 1.5)["issued"] - 1
    newer["remaining"] = POOL - newer["issued"]
    assert evening.recount().violations() == {}


def test_clients_are_compared_with_themselves_alone() -> None:
    """A client that reads for the first time may read less than another did at the same time."""
    evening = SmallEvening()
    evening.reading(WATCHER, 2.5)["client"] = -2
    show_issued(2.5, 20, -2)(evening)
    assert evening.recount().violations() == {}


def test_a_look_up_before_the_grant_finds_nothing() -> None:
    """Also one that overlaps it; one that began after the answer to the claim must find it."""
    evening = SmallEvening()
    row, claim = evening.row(3, Kind.MINE), evening.row(3)
    row["answer"], row["serial"], row["claimed_at_ms"] = Answer.NOT_CLAIMED, 0, 0
    row["sent"], row["done"] = claim["sent"] - 0.001, claim["done"] + 1
    assert evening.recount().violations() == {}
    row["sent"] = claim["done"] + 0.001
    assert evening.recount(clock=None).violations() == {"not_claimed_untruly": 1}


def test_a_look_up_without_an_answer_leaves_no_doubt() -> None:
    """It grants nothing, so a claim that is exported without an answer remains a violation."""
    evening = SmallEvening()
    evening.row(3)["answer"] = evening.row(3, Kind.AGAIN)["answer"] = Answer.SOLD_OUT
    for kind in (Kind.CLAIM, Kind.AGAIN):
        evening.row(3, kind)["serial"] = evening.row(3, kind)["claimed_at_ms"] = 0
    evening.row(3, Kind.MINE)["answer"] = Answer.DROPPED
    assert evening.recount().exported_but_untold == 1


def test_a_claim_without_an_answer_is_settled_by_a_look_up() -> None:
    """The look-up shows it, so it is acknowledged."""
    evening = SmallEvening()
    row = evening.row(5)
    row["answer"], row["serial"], row["claimed_at_ms"] = Answer.DROPPED, 0, 0
    counted = evening.recount()
    assert (counted.violations(), counted.unknown, counted.unsettled) == ({}, 0, 0)


def test_an_evening_without_readings() -> None:
    """As where all of them were refused: nothing is wrong with what is not there."""
    evening = SmallEvening()
    evening.readings, evening.passes = evening.readings[:0], evening.passes[:0]
    counted = evening.recount()
    assert (counted.violations(), counted.readings, counted.passes) == ({}, 0, 0)
    assert np.isfinite(evening.rows["intended"]).all()
