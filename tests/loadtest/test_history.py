"""The history checker: every way of breaking a promise is caught by its name, and nothing else is taken for one."""

import numpy as np
import pytest
from histories import CLOCK, History, digest, ms, whole_round
from typer.testing import CliRunner

from loadtest.client.answers import Answer
from loadtest.history.__main__ import app
from loadtest.history.checker import check
from loadtest.history.columns import unpack_identities
from loadtest.history.export import Export
from loadtest.history.operations import Operation, Operations
from loadtest.history.recount import VIOLATIONS

CREATED, FIRST, _SECOND, PAUSED, RESUMED, _FOURTH, RAISED, _FIFTH, CLOSED = range(9)


def change_claim(history, number, **changes):
    """Only in the export."""
    kept = dict(zip(("serial", "person", "at_ms"), history.claims[number - 1], strict=True)) | changes
    history.claims[number - 1] = (kept["serial"], kept["person"], kept["at_ms"])


def one_more(history, person):
    """A grant before the close."""
    closing = history.entries.pop()
    history.grant(6.5, person).entries.append(closing)
    return history


def oversell_by_the_log(history):
    history.entry(CREATED, fields=history.entries[CREATED].fields | {"total": "3"})


def oversell_by_the_export(history):
    history.entries.insert(CLOSED, history.entries[RAISED])
    history.entry(CLOSED, fields={"total": "4"})


def lower_the_total_below_what_was_granted(history):
    history.entry(CLOSED, fields={"total": "4"})


def lower_it_in_a_pause(history):
    history.entry(PAUSED, fields={"total": "2", "paused": "1"})
    history.entry(RESUMED, fields={"total": "6", "paused": "0"})


def repeat_a_serial(history):
    change_claim(history, 4, serial=3)


def leave_a_gap(history):
    change_claim(history, 5, serial=6)


def lose_the_first_claim(history):
    del history.claims[0]


def give_two_to_one(history):
    one_more(history, 1).ask(1, 6.4, 6.6, Answer.GRANTED)


def lose_a_claim_that_was_told(history):
    del history.claims[4]


def invent_an_answer(history):
    history.ask(9, 6.0, 6.1, Answer.GRANTED)
    history.answer(9, Answer.GRANTED, serial=9, claimed_at_ms=ms(6.0))


def swap_two_people(history):
    change_claim(history, 1, person=1)
    change_claim(history, 2, person=2)


def tell_another_time(history):
    history.answer(2, Answer.GRANTED, claimed_at_ms=ms(0.5))


def tell_another_time_again(history):
    history.answer(1, Answer.REPLAYED, claimed_at_ms=ms(1.001))


def tell_another_serial_again(history):
    history.answer(1, Answer.REPLAYED, serial=3)


def grant_twice(history):
    history.answer(1, Answer.REPLAYED, told=Answer.GRANTED)


def refuse_the_only_asking(history):
    history.answer(5, Answer.GRANTED, told=Answer.SOLD_OUT)
    history.answer(5, Answer.REPLAYED, told=Answer.SOLD_OUT)


def grant_to_one_who_was_limited(history):
    one_more(history, 7)


def grant_to_one_who_never_asked(history):
    one_more(history, 99)


def grant_to_one_whose_request_never_left(history):
    one_more(history, 99).ask(99, float("nan"), float("nan"), Answer.NO_ANSWER)


def refuse(told):
    def corrupt(history):
        history.ask(2, 1.2, 3.5, told)

    return corrupt


def ask_for_the_third_after_the_fourth_was_told(history):
    for at, item in enumerate(history.asked):
        if item.identity == digest(3):
            history.asked[at] = item._replace(start=item.start + 4, end=item.end + 4)
    history.ask(4, 5.0, 5.1, Answer.REPLAYED)


def tell_a_claim_before_it_can_have_been_granted(history):
    history.asked.append(Operation(0.1, 0.2, digest(5), Answer.REPLAYED, 5, ms(6.1)))


def sell_out_before_the_last_could_be_granted(history):
    history.ask(9, 0.1, 0.2, Answer.SOLD_OUT)


def sell_out_before_the_last_was_granted(history):
    """All had asked by then, but the server's times say otherwise."""
    history.ask(9, 3.5, 4.9, Answer.SOLD_OUT)


def pause_it_never(history):
    history.entry(PAUSED, fields={"title": "x"})


def close_it_never(history):
    history.entry(CLOSED, fields={"title": "x"})


def open_it_long_before(history):
    history.entry(CREATED, fields=history.entries[CREATED].fields | {"opens_at_ms": str(ms(-50))})


def not_open_after_the_opening(history):
    history.ask(9, 0.01, 0.1, Answer.NOT_OPEN)


def grant_before_the_opening(history):
    history.entry(CREATED, fields=history.entries[CREATED].fields | {"opens_at_ms": str(ms(1.001))})


def put_the_opening_off(history):
    history.entry(RESUMED, fields={"paused": "0", "opens_at_ms": str(ms(6))})


def grant_before_there_is_a_round(history):
    history.entries.insert(0, history.entries.pop(FIRST))


def grant_at_the_closing(history):
    history.entry(RESUMED, fields={"paused": "0", "closes_at_ms": str(ms(6.1))})


def grant_when_closed(history):
    history.entry(RAISED, fields={"total": "6", "closed": "1"})


def grant_in_the_pause(history):
    history.entry(RESUMED, fields={"paused": "1"})


def skip_a_version(history):
    history.entry(CLOSED, version=6)


def repeat_a_version(history):
    history.entry(PAUSED, version=1)


def lose_the_creation(history):
    del history.entries[CREATED]


def log_other_people(history):
    history.entry(FIRST, identities=digest(2) + digest(9))


def log_another_time(history):
    history.entry(FIRST, at_ms=ms(1.001))


def log_nothing(history):
    del history.entries[_FIFTH]


def export_less_than_the_log(history):
    one_more(history, 6)
    del history.claims[-1]


def log_from_another_serial(history):
    history.entry(FIRST, first_serial=2)


def log_what_cannot_be_read(history):
    history.malformed = 1


def log_a_total_that_is_none(history):
    history.entry(RAISED, fields={"total": "many"})


def turn_back_the_time(history):
    change_claim(history, 3, at_ms=ms(0.999))


CORRUPTIONS = [
    (oversell_by_the_log, "oversold"),
    (oversell_by_the_export, "oversold"),
    (oversell_by_the_export, "total_below_issued"),
    (lower_the_total_below_what_was_granted, "total_below_issued"),
    (lower_it_in_a_pause, "total_below_issued"),
    (repeat_a_serial, "serials_repeated"),
    (repeat_a_serial, "serials_missing"),
    (leave_a_gap, "serials_missing"),
    (lose_the_first_claim, "serials_missing"),
    (lose_the_first_claim, "told_but_not_exported"),
    (give_two_to_one, "identities_repeated"),
    (give_two_to_one, "granted_twice"),
    (lose_a_claim_that_was_told, "told_but_not_exported"),
    (lose_a_claim_that_was_told, "log_disagrees"),
    (invent_an_answer, "told_but_not_exported"),
    (swap_two_people, "told_anothers"),
    (swap_two_people, "log_disagrees"),
    (tell_another_time, "told_another_time"),
    (tell_another_time_again, "told_another_time"),
    (tell_another_time_again, "replays_disagree"),
    (tell_another_serial_again, "replays_disagree"),
    (tell_another_serial_again, "told_anothers"),
    (grant_twice, "granted_twice"),
    (refuse_the_only_asking, "exported_but_untold"),
    (grant_to_one_who_was_limited, "exported_but_untold"),
    (grant_to_one_who_never_asked, "strangers"),
    (grant_to_one_whose_request_never_left, "exported_but_untold"),
    (refuse(Answer.SOLD_OUT), "refused_after_told"),
    (refuse(Answer.NOT_OPEN), "refused_after_told"),
    (refuse(Answer.PAUSED), "refused_after_told"),
    (refuse(Answer.CLOSED), "refused_after_told"),
    (ask_for_the_third_after_the_fourth_was_told, "out_of_order"),
    (tell_a_claim_before_it_can_have_been_granted, "out_of_order"),
    (sell_out_before_the_last_could_be_granted, "sold_out_too_early"),
    (sell_out_before_the_last_was_granted, "sold_out_too_early"),
    (pause_it_never, "paused_untruly"),
    (close_it_never, "closed_untruly"),
    (open_it_long_before, "not_open_untruly"),
    (not_open_after_the_opening, "not_open_untruly"),
    (grant_before_the_opening, "granted_before_opening"),
    (put_the_opening_off, "granted_before_opening"),
    (grant_before_there_is_a_round, "granted_before_opening"),
    (grant_at_the_closing, "granted_while_closed"),
    (grant_when_closed, "granted_while_closed"),
    (grant_in_the_pause, "granted_while_paused"),
    (skip_a_version, "versions_broken"),
    (repeat_a_version, "versions_broken"),
    (lose_the_creation, "versions_broken"),
    (log_other_people, "log_disagrees"),
    (log_another_time, "log_disagrees"),
    (log_nothing, "log_disagrees"),
    (export_less_than_the_log, "log_disagrees"),
    (log_from_another_serial, "log_serials_broken"),
    (log_what_cannot_be_read, "log_malformed"),
    (log_a_total_that_is_none, "log_malformed"),
    (turn_back_the_time, "time_goes_back"),
]
# Those that only a drop can have are in test_recount.py.
ELSEWHERE = {"malformed", "never_granted", "refused_and_granted", "audit_disagrees"}


@pytest.mark.parametrize(("corrupt", "caught_as"), CORRUPTIONS)
def test_each_corruption_is_caught(corrupt, caught_as):
    """By the count that is named for it."""
    history = whole_round()
    corrupt(history)
    assert history.check().violations()[caught_as] >= 1


def test_every_violation_is_tried():
    """A new one needs a corruption that shows it."""
    assert {caught_as for _, caught_as in CORRUPTIONS} | ELSEWHERE == set(VIOLATIONS)


def test_a_round_in_which_everything_happened_is_in_order():
    """Nothing is found, by clock or without; the totals are right, and all that a log shows was looked at."""
    counted = whole_round().check()
    assert counted.violations() == whole_round().check(clock=None).violations() == {}
    assert (counted.exported, counted.told_granted, counted.told_replayed) == (5, 3, 4)
    assert (counted.unknown, counted.unsettled, counted.not_understood) == (1, 1, 0)
    assert set(VIOLATIONS) - set(counted.as_dict()) == {"never_granted", "refused_and_granted"}


def test_without_a_log_nothing_is_said_of_it():
    """What was not looked at is not counted as kept."""
    counted = History(total=1).grant(1, 1).ask(1, 0, 2, Answer.GRANTED).check(log=None, pool=1, gateways_repeat=False)
    assert counted.ok
    by_the_log = {name for name in VIOLATIONS if getattr(counted, name) is None}
    assert {"log_disagrees", "granted_while_paused", "paused_untruly"} <= by_the_log
    assert not by_the_log & set(counted.as_dict())
    assert counted.as_dict()["never_granted"] == counted.as_dict()["refused_and_granted"] == 0


def test_somebody_must_know_the_stock():
    """From the pool or from the log."""
    with pytest.raises(ValueError, match="stock"):
        whole_round().check(log=None)


@pytest.mark.parametrize("person_told", [Answer.NO_ANSWER, Answer.WRONG, Answer.DROPPED, Answer.UNAVAILABLE])
@pytest.mark.parametrize("end", [0.5, float("nan"), float("inf")])
def test_what_is_unknown_may_have_been_granted_at_any_time_after(person_told, end):
    """Long after the client gave up, and after others who came later."""
    history = History().grant(1, 2).ask(2, 0.9, 1.1, Answer.GRANTED).grant(9, 1).ask(1, 0.2, end, person_told)
    counted = history.check()
    assert counted.violations() == {}
    assert (counted.unknown, counted.unsettled) == (1, 1)


def test_what_is_unknown_may_never_have_happened():
    """Asking again then decides it."""
    history = History(total=1).ask(1, 0.1, 0.2, Answer.DROPPED).grant(1, 2).ask(2, 0.9, 1.1, Answer.GRANTED)
    assert history.check().unsettled == 1
    counted = history.ask(1, 2.0, 2.1, Answer.SOLD_OUT).check()
    assert (counted.violations(), counted.unsettled) == ({}, 0)


def test_a_refusal_before_the_doubt_settles_nothing():
    """Whoever was too early, and then never got an answer, does not know."""
    history = History().ask(1, -1.0, -0.9, Answer.NOT_OPEN).ask(1, 0.1, 0.2, Answer.DROPPED)
    assert history.check().unsettled == 1


def test_a_gateway_may_have_asked_twice():
    """The first answer there is says "replayed": in order where gateways repeat, else nobody was told of the grant."""
    history = History().grant(1, 1).ask(1, 0.9, 1.5, Answer.REPLAYED)
    assert history.check().violations() == {}
    assert history.check(gateways_repeat=False).violations() == {"never_granted": 1}


def test_sold_out_is_final_unless_there_is_more_stock():
    """Refused and granted after all: with a total that rose it may well be, else never, also where nobody was told."""
    history = History(total=1).ask(2, 0.5, 1.1, Answer.SOLD_OUT).ask(2, 0.2, 0.3, Answer.DROPPED).grant(1, 2)
    assert history.check().violations() == {"refused_and_granted": 1}
    history.edit(2, total="2")
    assert history.check().violations() == {}


def test_overlapping_requests_may_be_served_in_any_order():
    """Also where the one who came last was told first."""
    history = History().grant(1, 3, 2, 1)
    for person, start, end in [(1, 0.1, 1.5), (2, 0.2, 1.4), (3, 0.3, 1.3)]:
        history.ask(person, start, end, Answer.GRANTED)
    assert history.check().violations() == {}


def test_order_is_judged_by_what_can_have_granted():
    """A request that was refused, or limited, is not the one; nor is a replay where somebody was told 201."""
    history = History().grant(1, 1).ask(1, 0.9, 1.1, Answer.GRANTED).grant(3, 2).ask(2, 2.9, 3.1, Answer.GRANTED)
    history.claims[0], history.claims[1] = (2, 1, ms(3)), (1, 2, ms(3))
    for at in range(2):
        history.asked[at] = history.asked[at]._replace(serial=2 - at, claimed_at_ms=ms(3))
    for told in (Answer.PAUSED, Answer.RATE_LIMITED, Answer.DROPPED):
        history.ask(2, 0.1, 0.2, told)
    assert history.check(log=None, clock=None, pool=4).violations() == {"out_of_order": 1}


def test_whoever_was_refused_held_nothing_until_then():
    """A late grant is later than the last refusal; a claim with a higher serial cannot have been told before."""
    history = History().grant(6, 1, 2).ask(1, 0.1, 0.2, Answer.DROPPED).ask(2, 2.9, 3.1, Answer.GRANTED)
    assert history.check().violations() == {}
    history.edit(7, paused="1").ask(1, 5.0, 5.1, Answer.PAUSED)
    assert history.check().violations() == {"out_of_order": 1}


@pytest.mark.parametrize(
    ("corrupt", "found"),
    [
        (grant_to_one_who_was_limited, {"exported_but_untold": 1}),
        (grant_to_one_who_never_asked, {"exported_but_untold": 1, "strangers": 1}),
        (grant_twice, {"granted_twice": 1}),
        (grant_in_the_pause, {"granted_while_paused": 2}),
        (skip_a_version, {"versions_broken": 1}),
        (tell_another_time, {"told_another_time": 1}),
    ],
)
def test_one_broken_promise_does_not_look_like_many(corrupt, found):
    """Whatever nobody can have been granted says nothing about the order of others."""
    history = whole_round()
    corrupt(history)
    assert history.check().violations() == found


def test_a_claim_nobody_can_have_been_granted_spoils_no_order():
    """It may have come at any time."""
    history = History().grant(1, 7).ask(7, 0.5, 0.6, Answer.RATE_LIMITED).grant(2, 1).ask(1, 1.9, 2.1, Answer.GRANTED)
    assert history.check().violations() == {"exported_but_untold": 1}


def test_the_first_and_the_last_moment_of_a_round():
    """It opens at the opening, and closes at the closing."""
    history = History(closes=5.0).grant(0.0, 1).ask(1, -0.1, 0.1, Answer.GRANTED)
    assert history.grant(4.999, 2).ask(2, 4.9, 5.1, Answer.GRANTED).check().violations() == {}
    assert history.grant(5.0, 3).ask(3, 4.9, 5.1, Answer.GRANTED).check().violations() == {"granted_while_closed": 1}


def test_an_export_may_come_in_any_order():
    """Serials count, not lines."""
    history = whole_round()
    history.claims.reverse()
    assert history.check().violations() == {}


def test_sold_out_is_judged_without_a_clock():
    """By who can have been granted anything when it was told; the same moment is not before."""
    history = History(total=1).grant(1, 1).ask(1, 0.5, 1.1, Answer.GRANTED).ask(2, 0.3, 0.5, Answer.SOLD_OUT)
    assert history.check(clock=None).violations() == {}
    history.ask(3, 0.3, 0.499, Answer.SOLD_OUT)
    assert history.check(clock=None).violations() == {"sold_out_too_early": 1}


def test_not_open_is_believed_as_long_as_it_may_be_true():
    """Until the clocks' error after the latest opening there ever was, also when that was then brought forward."""
    history = History(opens=5.0).ask(1, 4.0, 4.1, Answer.NOT_OPEN).edit(4.5, opens_at_ms=str(ms(1)))
    history.ask(2, 5.001, 5.1, Answer.NOT_OPEN)
    assert history.check().violations() == {}
    history.ask(2, 5.003, 5.1, Answer.NOT_OPEN)
    assert history.check().violations() == {"not_open_untruly": 1}


def test_clocks_of_several_processes_may_be_apart():
    """By the skew and no more."""
    history = History().grant(1, 1, 2).ask(1, 1.5, 1.6, Answer.GRANTED).ask(2, 0.9, 1.4, Answer.GRANTED)
    history.ask(1, 1.7, 1.8, Answer.REPLAYED).ask(1, 1.65, 1.9, Answer.REPLAYED)
    assert history.check().violations() == {"out_of_order": 1}
    assert history.check(skew_seconds=0.11).violations() == {}
    history.ask(2, 1.5, 1.6, Answer.PAUSED).edit(2, paused="1")
    assert history.check(skew_seconds=0.11).violations() == {}
    assert history.check(skew_seconds=0.09).violations()["refused_after_told"] == 1


def test_closing_by_the_hour_needs_a_clock():
    """Without one nobody can say that it was too early; with one, a moment before the hour is believed."""
    history = History(closes=5.0)
    for start, end in [(4.9, 4.999), (5.0, 5.1)]:
        history.ask(1, start, end, Answer.CLOSED)
    assert history.check().violations() == {}
    history.ask(1, 4.0, 4.9, Answer.CLOSED)
    assert history.check(clock=None).violations() == {}
    assert history.check().violations() == {"closed_untruly": 1}


def test_a_window_that_moves():
    """Put off and brought forward: each answer was true at its time."""
    history = History(opens=5.0).ask(1, 1.0, 1.1, Answer.NOT_OPEN).edit(2, opens_at_ms=str(ms(2)))
    history.grant(3, 1).ask(1, 2.5, 3.1, Answer.GRANTED).edit(4, opens_at_ms=str(ms(8)), closes_at_ms=str(ms(9)))
    history.ask(2, 6.0, 6.1, Answer.NOT_OPEN).ask(2, 9.0, 9.1, Answer.CLOSED)
    assert history.check().violations() == {}


def test_an_audit_is_held_against_the_log():
    """Its total is the one in force in the end."""
    audit = {"total": 6, "issued": 5, "remaining": 1, "claims": 5, "identities": 5}
    assert whole_round().check(audit=audit).violations() == {}
    assert whole_round().check(audit=audit | {"total": 4}).violations() == {"audit_disagrees": 1}


def test_a_made_up_history_is_in_order():
    """What the checker is timed on: it would not be worth timing on anything else."""
    told = CliRunner().invoke(app, ["--operations=1000", "--times=1"])
    assert told.exit_code == 0
    assert "1,000 operations, 400 claims, 5 entries" in told.output


def test_nothing_at_all():
    """Neither claims nor operations, and claims without a single operation."""
    assert History().check().violations() == {}
    assert History().grant(1, 1).check().violations() == {"exported_but_untold": 1, "strangers": 1}


def test_operations_as_columns():
    """The same history from arrays and from a list."""
    asked = whole_round().asked
    start, end, identities, told, serial, at_ms = zip(*asked, strict=True)
    made = Operations.of_columns(start, end, unpack_identities(b"".join(identities)), told, serial, at_ms)
    for name in ("identities", "person", "start", "end", "told", "serial", "claimed_at_ms"):
        assert np.array_equal(getattr(made, name), getattr(Operations.of(asked), name))
    assert np.count_nonzero(np.isinf(made.end)) == 1


def test_an_identity_is_sixteen_bytes():
    """Anything else would be taken for somebody else's."""
    with pytest.raises(ValueError, match="16 bytes"):
        Operations.of([Operation(0, 1, b"short", Answer.DROPPED), Operation(0, 1, bytes(27), Answer.DROPPED)])


def test_an_answer_to_a_bad_pass_that_grants():
    """A claim told to somebody who has no identity is another's."""
    rows = np.zeros(1, [("person", "i4"), ("sent", "f8"), ("done", "f8"), ("answer", "u1"), ("serial", "i8"),
                        ("claimed_at_ms", "i8")])  # fmt: skip
    rows["person"], rows["answer"], rows["serial"], rows["claimed_at_ms"] = 7, Answer.GRANTED, 1, 5
    export = Export(np.array([1]), unpack_identities(digest(0)), np.array([5]))
    counted = check(export, Operations.of_rows(rows, unpack_identities(digest(0))), pool=1, clock=CLOCK)
    assert counted.violations() == {"told_anothers": 1, "exported_but_untold": 1}
