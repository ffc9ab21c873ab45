"""The history checker counts every kind of violation under its name, and reports nothing else."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest
from typer.testing import CliRunner

from claimd.domain.log import EditEntry
from loadtest.client.answers import UNKNOWN, Answer
from loadtest.crowd.records import ROW
from loadtest.history.__main__ import app
from loadtest.history.checker import check
from loadtest.history.columns import unpack_identities
from loadtest.history.export import Export
from loadtest.history.operations import Operation, Operations
from loadtest.history.recount import VIOLATIONS
from tests.loadtest.histories import CLOCK, History, digest, ms, whole_round
from tests.loadtest.visit_histories import VISIT_VIOLATIONS

Corruption: TypeAlias = Callable[[History], None]

# Entries of the log of `whole_round`.
CREATED, FIRST, _SECOND, PAUSED, RESUMED, _FOURTH, RAISED, _FIFTH, CLOSED = range(9)


def change_exported_claim(history: History, number: int, **changes: int) -> None:
    """Change a claim in the export only."""
    claim = dict(zip(("serial", "claimant", "at_ms"), history.claims[number - 1], strict=True)) | changes
    history.claims[number - 1] = (claim["serial"], claim["claimant"], claim["at_ms"])


def grant_one_more(history: History, claimant: int) -> History:
    """Add a grant before the close."""
    closing = history.entries.pop()
    history.grant(6.5, claimant).entries.append(closing)
    return history


def change_creation(history: History, **fields: str) -> None:
    """Change fields of the entry that creates the round."""
    created = history.entries[CREATED]
    assert isinstance(created, EditEntry)
    history.change_entry(CREATED, fields=created.fields | fields)


def oversell_by_the_log(history: History) -> None:
    change_creation(history, total="3")


def oversell_by_the_export(history: History) -> None:
    history.entries.insert(CLOSED, history.entries[RAISED])
    history.change_entry(CLOSED, fields={"total": "4"})


def lower_the_total_below_the_grants(history: History) -> None:
    history.change_entry(CLOSED, fields={"total": "4"})


def lower_the_total_in_a_pause(history: History) -> None:
    history.change_entry(PAUSED, fields={"total": "2", "paused": "1"})
    history.change_entry(RESUMED, fields={"total": "6", "paused": "0"})


def repeat_a_serial(history: History) -> None:
    change_exported_claim(history, 4, serial=3)


def leave_a_gap(history: History) -> None:
    change_exported_claim(history, 5, serial=6)


def lose_the_first_claim(history: History) -> None:
    del history.claims[0]


def grant_two_claims_to_one_claimant(history: History) -> None:
    grant_one_more(history, 1).request(1, 6.4, 6.6, Answer.GRANTED)


def lose_an_acknowledged_claim(history: History) -> None:
    del history.claims[4]


def invent_an_answer(history: History) -> None:
    history.request(9, 6.0, 6.1, Answer.GRANTED)
    history.change_answer(9, Answer.GRANTED, serial=9, claimed_at_ms=ms(6.0))


def swap_two_identities(history: History) -> None:
    change_exported_claim(history, 1, claimant=1)
    change_exported_claim(history, 2, claimant=2)


def acknowledge_another_time(history: History) -> None:
    history.change_answer(2, Answer.GRANTED, claimed_at_ms=ms(0.5))


def replay_with_another_time(history: History) -> None:
    history.change_answer(1, Answer.REPLAYED, claimed_at_ms=ms(1.001))


def replay_another_serial(history: History) -> None:
    history.change_answer(1, Answer.REPLAYED, serial=3)


def grant_twice(history: History) -> None:
    history.change_answer(1, Answer.REPLAYED, answer=Answer.GRANTED)


def refuse_every_request(history: History) -> None:
    history.change_answer(5, Answer.GRANTED, answer=Answer.SOLD_OUT)
    history.change_answer(5, Answer.REPLAYED, answer=Answer.SOLD_OUT)


def grant_to_a_rate_limited_claimant(history: History) -> None:
    grant_one_more(history, 7)


def grant_without_a_request(history: History) -> None:
    grant_one_more(history, 99)


def grant_without_a_sent_request(history: History) -> None:
    grant_one_more(history, 99).request(99, float("nan"), float("nan"), Answer.NO_ANSWER)


def refuse(answer: Answer) -> Corruption:
    """Refuse claimant 2 after its claim was acknowledged."""

    def corrupt(history: History) -> None:
        history.request(2, 1.2, 3.5, answer)

    return corrupt


def request_the_third_after_the_fourth_is_acknowledged(history: History) -> None:
    for at, each in enumerate(history.operations):
        if each.identity == digest(3):
            history.operations[at] = each._replace(start=each.start + 4, end=each.end + 4)
    history.request(4, 5.0, 5.1, Answer.REPLAYED)


def acknowledge_a_claim_before_it_can_have_been_granted(history: History) -> None:
    history.operations.append(Operation(0.1, 0.2, digest(5), Answer.REPLAYED, 5, ms(6.1)))


def sell_out_before_the_last_request(history: History) -> None:
    history.request(9, 0.1, 0.2, Answer.SOLD_OUT)


def sell_out_before_the_last_grant(history: History) -> None:
    """All requests had been sent by then, but by the server's times not all were granted."""
    history.request(9, 3.5, 4.9, Answer.SOLD_OUT)


def never_pause(history: History) -> None:
    history.change_entry(PAUSED, fields={"title": "x"})


def never_close(history: History) -> None:
    history.change_entry(CLOSED, fields={"title": "x"})


def open_long_before(history: History) -> None:
    change_creation(history, opens_at_ms=str(ms(-50)))


def not_open_after_the_opening(history: History) -> None:
    history.request(9, 0.01, 0.1, Answer.NOT_OPEN)


def grant_before_the_opening(history: History) -> None:
    change_creation(history, opens_at_ms=str(ms(1.001)))


def postpone_the_opening(history: History) -> None:
    history.change_entry(RESUMED, fields={"paused": "0", "opens_at_ms": str(ms(6))})


def grant_before_the_round_exists(history: History) -> None:
    history.entries.insert(0, history.entries.pop(FIRST))


def grant_at_the_closing(history: History) -> None:
    history.change_entry(RESUMED, fields={"paused": "0", "closes_at_ms": str(ms(6.1))})


def grant_when_closed(history: History) -> None:
    history.change_entry(RAISED, fields={"total": "6", "closed": "1"})


def grant_in_the_pause(history: History) -> None:
    history.change_entry(RESUMED, fields={"paused": "1"})


def skip_a_version(history: History) -> None:
    history.change_entry(CLOSED, version=6)


def repeat_a_version(history: History) -> None:
    history.change_entry(PAUSED, version=1)


def lose_the_creation(history: History) -> None:
    del history.entries[CREATED]


def log_other_identities(history: History) -> None:
    history.change_entry(FIRST, identities=digest(2) + digest(9))


def log_another_time(history: History) -> None:
    history.change_entry(FIRST, at_ms=ms(1.001))


def drop_a_log_entry(history: History) -> None:
    del history.entries[_FIFTH]


def export_less_than_the_log(history: History) -> None:
    grant_one_more(history, 6)
    del history.claims[-1]


def log_from_another_serial(history: History) -> None:
    history.change_entry(FIRST, first_serial=2)


def log_an_unreadable_entry(history: History) -> None:
    history.malformed = 1


def log_a_total_that_is_no_number(history: History) -> None:
    history.change_entry(RAISED, fields={"total": "many"})


def turn_back_time(history: History) -> None:
    change_exported_claim(history, 3, at_ms=ms(0.999))


def void_what_the_export_has_as_held(history: History) -> None:
    history.void(7.0, 2)
    history.voided_at_ms.clear()


def void_by_the_export_alone(history: History) -> None:
    history.voided_at_ms[2] = ms(7.0)


def void_at_another_time(history: History) -> None:
    history.void(7.0, 2).voided_at_ms[2] += 1


def void_twice(history: History) -> None:
    history.void(7.0, 2).void(7.5, 2)


def void_before_the_grant(history: History) -> None:
    history.void(0.5, 1)
    history.entries.insert(FIRST, history.entries.pop())


def give_a_voided_pack_away_twice(history: History) -> None:
    # The total is 6, and 5 are held.
    history.void(6.2, 2)
    closing = history.entries[CLOSED]
    history.entries.remove(closing)
    history.grant(6.5, 7, 9, 10).entries.append(closing)


CORRUPTIONS = [
    (void_what_the_export_has_as_held, "voids_disagree"),
    (void_by_the_export_alone, "voids_disagree"),
    (void_at_another_time, "voids_disagree"),
    (void_twice, "voids_broken"),
    (void_before_the_grant, "voids_broken"),
    (give_a_voided_pack_away_twice, "oversold"),
    (oversell_by_the_log, "oversold"),
    (oversell_by_the_export, "oversold"),
    (oversell_by_the_export, "total_below_issued"),
    (lower_the_total_below_the_grants, "total_below_issued"),
    (lower_the_total_in_a_pause, "total_below_issued"),
    (repeat_a_serial, "serials_repeated"),
    (repeat_a_serial, "serials_missing"),
    (leave_a_gap, "serials_missing"),
    (lose_the_first_claim, "serials_missing"),
    (lose_the_first_claim, "told_but_not_exported"),
    (grant_two_claims_to_one_claimant, "identities_repeated"),
    (grant_two_claims_to_one_claimant, "granted_twice"),
    (lose_an_acknowledged_claim, "told_but_not_exported"),
    (lose_an_acknowledged_claim, "log_disagrees"),
    (invent_an_answer, "told_but_not_exported"),
    (swap_two_identities, "told_anothers"),
    (swap_two_identities, "log_disagrees"),
    (acknowledge_another_time, "told_another_time"),
    (replay_with_another_time, "told_another_time"),
    (replay_with_another_time, "replays_disagree"),
    (replay_another_serial, "replays_disagree"),
    (replay_another_serial, "told_anothers"),
    (grant_twice, "granted_twice"),
    (refuse_every_request, "exported_but_untold"),
    (grant_to_a_rate_limited_claimant, "exported_but_untold"),
    (grant_without_a_request, "strangers"),
    (grant_without_a_sent_request, "exported_but_untold"),
    (refuse(Answer.SOLD_OUT), "refused_after_told"),
    (refuse(Answer.NOT_OPEN), "refused_after_told"),
    (refuse(Answer.PAUSED), "refused_after_told"),
    (refuse(Answer.CLOSED), "refused_after_told"),
    (request_the_third_after_the_fourth_is_acknowledged, "out_of_order"),
    (acknowledge_a_claim_before_it_can_have_been_granted, "out_of_order"),
    (sell_out_before_the_last_request, "sold_out_too_early"),
    (sell_out_before_the_last_grant, "sold_out_too_early"),
    (never_pause, "paused_untruly"),
    (never_close, "closed_untruly"),
    (open_long_before, "not_open_untruly"),
    (not_open_after_the_opening, "not_open_untruly"),
    (grant_before_the_opening, "granted_before_opening"),
    (postpone_the_opening, "granted_before_opening"),
    (grant_before_the_round_exists, "granted_before_opening"),
    (grant_at_the_closing, "granted_while_closed"),
    (grant_when_closed, "granted_while_closed"),
    (grant_in_the_pause, "granted_while_paused"),
    (skip_a_version, "versions_broken"),
    (repeat_a_version, "versions_broken"),
    (lose_the_creation, "versions_broken"),
    (log_other_identities, "log_disagrees"),
    (log_another_time, "log_disagrees"),
    (drop_a_log_entry, "log_disagrees"),
    (export_less_than_the_log, "log_disagrees"),
    (log_from_another_serial, "log_serials_broken"),
    (log_an_unreadable_entry, "log_malformed"),
    (log_a_total_that_is_no_number, "log_malformed"),
    (turn_back_time, "time_goes_back"),
]
# Violations that only a drop can have: test_recount.py; or only whole visits: test_visit_history.py.
ELSEWHERE = {"malformed", "never_granted", "refused_and_granted", "audit_disagrees"} | VISIT_VIOLATIONS


@pytest.mark.parametrize(("corrupt", "caught_as"), CORRUPTIONS)
def test_each_corruption_is_caught(corrupt: Corruption, caught_as: str) -> None:
    """By the count of that name."""
    history = whole_round()
    corrupt(history)
    assert history.check().violations()[caught_as] >= 1


def test_every_violation_is_tried() -> None:
    """A new kind of violation needs a corruption that causes it."""
    assert {caught_as for _, caught_as in CORRUPTIONS} | ELSEWHERE == set(VIOLATIONS)


def test_a_correct_round_has_no_violations() -> None:
    """With a clock or without; the totals are right, and every count that needs a log is there."""
    counted = whole_round().check()
    assert counted.violations() == whole_round().check(clock=None).violations() == {}
    assert (counted.exported, counted.told_granted, counted.told_replayed) == (5, 3, 4)
    assert (counted.unknown, counted.unsettled, counted.not_understood) == (1, 1, 0)
    assert set(VIOLATIONS) - set(counted.as_dict()) == {"never_granted", "refused_and_granted"} | VISIT_VIOLATIONS


def test_a_voided_claim_is_no_violation() -> None:
    """Its pack goes to another person, and its own may claim again; whoever was shown it keeps a true answer."""
    history = whole_round()
    closing = history.entries.pop()
    history.void(6.4, 1).grant(6.6, 2, 9).void(6.7, 7).entries.append(closing)
    history.request(2, 6.5, 6.65, Answer.GRANTED).request(9, 6.5, 6.65, Answer.GRANTED)
    history.operations[-2] = history.operations[-2]._replace(serial=6, claimed_at_ms=ms(6.6))
    history.request(2, 8.3, 8.4, Answer.CLOSED)
    assert history.check().violations() == {}
    assert history.check().exported == 7


def test_counts_that_need_a_log_are_absent_without_one() -> None:
    """They are not reported as 0."""
    counted = (
        History(total=1).grant(1, 1).request(1, 0, 2, Answer.GRANTED).check(log=None, pool=1, gateways_repeat=False)
    )
    assert counted.ok
    by_the_log = {name for name in VIOLATIONS if getattr(counted, name) is None}
    assert {"log_disagrees", "granted_while_paused", "paused_untruly"} <= by_the_log
    assert not by_the_log & set(counted.as_dict())
    assert counted.as_dict()["never_granted"] == counted.as_dict()["refused_and_granted"] == 0


def test_pool_or_log_is_required() -> None:
    """The stock is taken from one of them."""
    with pytest.raises(ValueError, match="stock"):
        whole_round().check(log=None)


@pytest.mark.parametrize("answer", UNKNOWN)
@pytest.mark.parametrize("end", [0.5, float("nan"), float("inf")])
def test_an_unknown_outcome_may_be_a_grant_at_any_later_time(answer: Answer, end: float) -> None:
    """Long after the client gave up, and after requests that were sent later."""
    history = History().grant(1, 2).request(2, 0.9, 1.1, Answer.GRANTED).grant(9, 1).request(1, 0.2, end, answer)
    counted = history.check()
    assert counted.violations() == {}
    assert (counted.unknown, counted.unsettled) == (1, 1)


def test_an_unknown_outcome_may_be_no_grant() -> None:
    """A later refusal settles it."""
    history = History(total=1).request(1, 0.1, 0.2, Answer.DROPPED).grant(1, 2).request(2, 0.9, 1.1, Answer.GRANTED)
    assert history.check().unsettled == 1
    counted = history.request(1, 2.0, 2.1, Answer.SOLD_OUT).check()
    assert (counted.violations(), counted.unsettled) == ({}, 0)


def test_an_earlier_refusal_settles_no_unknown_outcome() -> None:
    """A request before the opening was refused, and the next one has no answer."""
    history = History().request(1, -1.0, -0.9, Answer.NOT_OPEN).request(1, 0.1, 0.2, Answer.DROPPED)
    assert history.check().unsettled == 1


def test_a_gateway_may_repeat_a_call() -> None:
    """A first answer 200 is correct where gateways repeat calls, and a violation elsewhere."""
    history = History().grant(1, 1).request(1, 0.9, 1.5, Answer.REPLAYED)
    assert history.check().violations() == {}
    assert history.check(gateways_repeat=False).violations() == {"never_granted": 1}


def test_sold_out_is_final_unless_there_is_more_stock() -> None:
    """A claimant that received sold_out may be granted a claim only if the total rose."""
    history = History(total=1).request(2, 0.5, 1.1, Answer.SOLD_OUT).request(2, 0.2, 0.3, Answer.DROPPED).grant(1, 2)
    assert history.check().violations() == {"refused_and_granted": 1}
    history.edit(2, total="2")
    assert history.check().violations() == {}


def test_overlapping_requests_may_be_served_in_any_order() -> None:
    """Also where the last request is answered first."""
    history = History().grant(1, 3, 2, 1)
    for claimant, start, end in [(1, 0.1, 1.5), (2, 0.2, 1.4), (3, 0.3, 1.3)]:
        history.request(claimant, start, end, Answer.GRANTED)
    assert history.check().violations() == {}


def test_order_is_judged_by_requests_that_can_have_been_granted() -> None:
    """Not by refused or rate-limited ones, nor by replays where the claimant also received 201."""
    history = (
        History().grant(1, 1).request(1, 0.9, 1.1, Answer.GRANTED).grant(3, 2).request(2, 2.9, 3.1, Answer.GRANTED)
    )
    history.claims[0], history.claims[1] = (2, 1, ms(3)), (1, 2, ms(3))
    for at in range(2):
        history.operations[at] = history.operations[at]._replace(serial=2 - at, claimed_at_ms=ms(3))
    for answer in (Answer.PAUSED, Answer.RATE_LIMITED, Answer.DROPPED):
        history.request(2, 0.1, 0.2, answer)
    assert history.check(log=None, clock=None, pool=4).violations() == {"out_of_order": 1}


def test_a_refused_claimant_held_nothing_until_then() -> None:
    """Its grant is later than its last refusal, so no higher serial can have been acknowledged before."""
    history = History().grant(6, 1, 2).request(1, 0.1, 0.2, Answer.DROPPED).request(2, 2.9, 3.1, Answer.GRANTED)
    assert history.check().violations() == {}
    history.edit(7, paused="1").request(1, 5.0, 5.1, Answer.PAUSED)
    assert history.check().violations() == {"out_of_order": 1}


@pytest.mark.parametrize(
    ("corrupt", "found"),
    [
        (grant_to_a_rate_limited_claimant, {"exported_but_untold": 1}),
        (grant_without_a_request, {"exported_but_untold": 1, "strangers": 1}),
        (grant_twice, {"granted_twice": 1}),
        (grant_in_the_pause, {"granted_while_paused": 2}),
        (skip_a_version, {"versions_broken": 1}),
        (acknowledge_another_time, {"told_another_time": 1}),
    ],
)
def test_one_violation_does_not_look_like_many(corrupt: Corruption, found: dict[str, int]) -> None:
    """A grant that no request can have caused proves nothing about the order of others."""
    history = whole_round()
    corrupt(history)
    assert history.check().violations() == found


def test_a_claim_without_a_possible_request_breaks_no_order() -> None:
    """It may have been granted at any time."""
    history = (
        History().grant(1, 7).request(7, 0.5, 0.6, Answer.RATE_LIMITED).grant(2, 1).request(1, 1.9, 2.1, Answer.GRANTED)
    )
    assert history.check().violations() == {"exported_but_untold": 1}


def test_a_round_includes_its_opening_and_excludes_its_closing() -> None:
    """A grant at the closing time is a violation."""
    history = History(closes=5.0).grant(0.0, 1).request(1, -0.1, 0.1, Answer.GRANTED)
    assert history.grant(4.999, 2).request(2, 4.9, 5.1, Answer.GRANTED).check().violations() == {}
    assert history.grant(5.0, 3).request(3, 4.9, 5.1, Answer.GRANTED).check().violations() == {
        "granted_while_closed": 1
    }


def test_an_export_may_come_in_any_order() -> None:
    """Order is by serial, not by line."""
    history = whole_round()
    history.claims.reverse()
    assert history.check().violations() == {}


def test_sold_out_is_judged_by_possible_grants_without_a_clock() -> None:
    """A request sent at the very moment of the answer may have been granted before it."""
    history = History(total=1).grant(1, 1).request(1, 0.5, 1.1, Answer.GRANTED).request(2, 0.3, 0.5, Answer.SOLD_OUT)
    assert history.check(clock=None).violations() == {}
    history.request(3, 0.3, 0.499, Answer.SOLD_OUT)
    assert history.check(clock=None).violations() == {"sold_out_too_early": 1}


def test_not_open_is_accepted_as_long_as_it_may_be_true() -> None:
    """Until the latest opening there ever was plus the clock's error, also where the opening was then moved forward."""
    history = History(opens=5.0).request(1, 4.0, 4.1, Answer.NOT_OPEN).edit(4.5, opens_at_ms=str(ms(1)))
    history.request(2, 5.001, 5.1, Answer.NOT_OPEN)
    assert history.check().violations() == {}
    history.request(2, 5.003, 5.1, Answer.NOT_OPEN)
    assert history.check().violations() == {"not_open_untruly": 1}


def test_clocks_of_several_processes_may_differ_by_the_skew() -> None:
    """And by no more."""
    history = History().grant(1, 1, 2).request(1, 1.5, 1.6, Answer.GRANTED).request(2, 0.9, 1.4, Answer.GRANTED)
    history.request(1, 1.7, 1.8, Answer.REPLAYED).request(1, 1.65, 1.9, Answer.REPLAYED)
    assert history.check().violations() == {"out_of_order": 1}
    assert history.check(skew_seconds=0.11).violations() == {}
    history.request(2, 1.5, 1.6, Answer.PAUSED).edit(2, paused="1")
    assert history.check(skew_seconds=0.11).violations() == {}
    assert history.check(skew_seconds=0.09).violations()["refused_after_told"] == 1


def test_judging_the_closing_time_needs_a_clock() -> None:
    """With one, an answer within the clock's error before the closing is accepted."""
    history = History(closes=5.0)
    for start, end in [(4.9, 4.999), (5.0, 5.1)]:
        history.request(1, start, end, Answer.CLOSED)
    assert history.check().violations() == {}
    history.request(1, 4.0, 4.9, Answer.CLOSED)
    assert history.check(clock=None).violations() == {}
    assert history.check().violations() == {"closed_untruly": 1}


def test_answers_fit_the_window_in_force_at_their_time() -> None:
    """The opening is postponed and moved forward."""
    history = History(opens=5.0).request(1, 1.0, 1.1, Answer.NOT_OPEN).edit(2, opens_at_ms=str(ms(2)))
    history.grant(3, 1).request(1, 2.5, 3.1, Answer.GRANTED).edit(4, opens_at_ms=str(ms(8)), closes_at_ms=str(ms(9)))
    history.request(2, 6.0, 6.1, Answer.NOT_OPEN).request(2, 9.0, 9.1, Answer.CLOSED)
    assert history.check().violations() == {}


def test_the_audit_is_compared_with_the_log() -> None:
    """The audit must have the total in force at the end."""
    audit = {"total": 6, "issued": 5, "remaining": 1, "claims": 5, "identities": 5}
    assert whole_round().check(audit=audit).violations() == {}
    assert whole_round().check(audit=audit | {"total": 4}).violations() == {"audit_disagrees": 1}


def test_the_generated_history_has_no_violations() -> None:
    """`python -m loadtest.history` times the checker on a correct history."""
    result = CliRunner().invoke(app, ["--operations=1000", "--times=1"])
    assert result.exit_code == 0
    assert "1,000 operations, 400 claims, 5 log entries" in result.output


def test_empty_histories() -> None:
    """No claims and no operations; a claim and no operations."""
    assert History().check().violations() == {}
    assert History().grant(1, 1).check().violations() == {"exported_but_untold": 1, "strangers": 1}


def test_columns_and_a_list_make_equal_operations() -> None:
    """`of_columns` and `of` give the same columns."""
    operations = whole_round().operations
    start, end, identities, answer, serial, at_ms = zip(*operations, strict=True)
    made = Operations.of_columns(start, end, unpack_identities(b"".join(identities)), answer, serial, at_ms)
    for name in ("identities", "claimant", "start", "end", "answer", "serial", "claimed_at_ms"):
        assert np.array_equal(getattr(made, name), getattr(Operations.of(operations), name))
    assert np.count_nonzero(np.isinf(made.end)) == 1


def test_identities_of_another_length_are_rejected() -> None:
    """A column of fixed width would take them for other identities."""
    with pytest.raises(ValueError, match="16 bytes"):
        Operations.of([Operation(0, 1, b"short", Answer.DROPPED), Operation(0, 1, bytes(27), Answer.DROPPED)])


def test_a_bad_pass_that_is_granted_a_claim_is_caught() -> None:
    """As a claim of another identity."""
    rows = np.zeros(1, ROW)
    rows["person"], rows["answer"], rows["serial"], rows["claimed_at_ms"] = 7, Answer.GRANTED, 1, 5
    export = Export(np.array([1]), unpack_identities(digest(0)), np.array([5]))
    counted = check(export, Operations.of_rows(rows, unpack_identities(digest(0))), pool=1, clock=CLOCK)
    assert counted.violations() == {"told_anothers": 1, "exported_but_untold": 1}
