"""The report of whole visits: the gathering and what people ask beside their claims, in figures, verdict and page."""

from typing import Any

import numpy as np
import pytest
from redis import Redis

from loadtest.client.answers import Answer
from loadtest.crowd.schedule import Kind
from loadtest.drop import report
from loadtest.drop.visits.figures import Evening
from loadtest.target.server_calls import ServerCalls
from tests.loadtest.drops import PEOPLE, SmallDrop
from tests.loadtest.test_drop_report import build
from tests.loadtest.visit_histories import SmallEvening


def build_evening(evening: SmallEvening, calls: ServerCalls | None = None, **fared: Any) -> dict[str, Any]:
    """The report of an evening whose generator fared like this."""
    fared = {"visits": evening.visits_done()} | fared
    return build(evening, evening=Evening(9.0, PEOPLE, "HS256", calls), **fared)


def test_a_drop_without_visits_has_none_of_it() -> None:
    """Neither in the figures nor on the page."""
    built = build(SmallDrop())
    assert (built["visits"], built["gathering"], built["beside_drop"]) == ("none", None, None)
    assert "The gathering" not in report.render(built)


def test_both_parts_have_their_figures() -> None:
    """Those of the drop are of its claims alone, as without visits."""
    built, drop = build_evening(SmallEvening()), build(SmallDrop())
    assert (built["visits"], built["verdict"], built["reasons"]) == ("whole", "pass", [])
    for name in ("offered", "granted", "replayed", "sold_out", "refused", "errors", "latency_ms", "series"):
        assert built[name] == drop[name]
    gathering, beside = built["gathering"], built["beside_drop"]
    assert {name: own["asked"] for name, own in gathering["requests"].items()} == dict.fromkeys(
        ("round", "pass", "round_again"), PEOPLE
    )
    assert (gathering["asked"], gathering["answered"], gathering["people"]) == (3 * PEOPLE, 3 * PEOPLE, PEOPLE)
    assert (gathering["unchanged"], beside["not_claimed"]) == (PEOPLE, 10)
    assert gathering["requests"]["pass"]["latency_ms"]["p99"] == pytest.approx(5.0)
    assert gathering["requests"]["round"]["peak_asked_per_second"] == PEOPLE
    assert gathering["tokens"] == {"algorithm": "HS256", "count": PEOPLE, "seconds": 0.5}
    assert gathering["events"]["events"] == 9
    assert beside["requests"]["round_during_drop"]["asked"] == 0
    series = gathering["series"]
    for name in ("asked", "round", "pass", "round_again", "pass_p99", "max", "errors"):
        assert len(series[name]) == len(series["at"])
    assert sum(series["pass"]) * series["width"] == pytest.approx(PEOPLE)
    assert series["at"][-1] >= 0


def test_the_calls_of_the_server_are_rates() -> None:
    """Samples of a count, at uneven moments; without any the report has none."""
    calls = ServerCalls(Redis(), moments=[-6.0, -4.0, 0.0], counts=[100, 300, 340])
    assert calls.per_second(np.array([-6.0, -5.0, -4.0, -2.0])) == [100.0, 100.0, 10.0]
    assert build_evening(SmallEvening(), calls)["gathering"]["server_calls_per_second"]["peak"] == 100.0
    assert build_evening(SmallEvening())["gathering"]["server_calls_per_second"] is None


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Kind.PASS, "1 answers of the gathering were not what they should be (pass: 1)"),
        (Kind.MINE, "1 answers beside the claims were not what they should be (claims me: 1)"),
    ],
)
def test_an_error_of_a_visit_fails(kind: Kind, reason: str) -> None:
    """A single one; the claims have none."""
    evening = SmallEvening()
    evening.row(45, kind)["answer"] = Answer.WRONG
    built = build_evening(evening)
    assert (built["verdict"], built["errors"], built["reasons"]) == ("fail", 0, [reason])


def test_a_request_without_an_answer_fails() -> None:
    """Also one that could not be sent, as its person had no pass."""
    evening = SmallEvening()
    row = evening.row(45, Kind.MINE)
    row["answer"], row["sent"], row["done"] = Answer.NO_ANSWER, np.nan, np.nan
    assert build_evening(evening)["verdict"] == "fail"


def test_slow_passes_fail() -> None:
    """By the p99 of their own kind, however many other requests are quick."""
    evening = SmallEvening()
    evening.rows["done"][evening.rows["kind"] == Kind.PASS] += 2.5
    built = build_evening(evening)
    assert built["verdict"] == "fail"
    assert built["reasons"] == ["p99 of pass is 2,505 ms, 2,000 is the limit"]


@pytest.mark.parametrize("kinds", [(Kind.ROUND, Kind.PASS), (Kind.MINE,)])
def test_a_generator_that_is_late_for_visits_makes_the_run_invalid(kinds: tuple[Kind, ...]) -> None:
    """Though it was on time for every claim."""
    evening = SmallEvening()
    mine = np.isin(evening.rows["kind"], kinds)
    evening.rows["sent"][mine] += 0.5
    evening.rows["done"][mine] += 0.5
    built = build_evening(evening)
    assert built["verdict"] == "invalid"
    assert built["generator"]["late_fraction"] == 0.0
    assert "late by its own doing" in built["reasons"][0]


def test_waiting_for_an_earlier_answer_is_latency_not_lateness() -> None:
    """A pass that was due while the person's round was not answered yet."""
    evening = SmallEvening()
    mine = evening.rows["kind"] == Kind.PASS
    evening.rows["sent"][mine] += 0.5
    evening.rows["free_since"][mine] = evening.rows["sent"][mine]
    evening.rows["done"][mine] += 0.5
    built = build_evening(evening)
    assert built["verdict"] == "pass"
    assert built["gathering"]["requests"]["pass"]["latency_ms"]["p50"] == pytest.approx(505)


def test_faults_of_event_streams_fail() -> None:
    """Where the gateway has events; where it has none, nothing is watched."""
    evening = SmallEvening()
    visits = evening.visits_done()
    visits["events"]["errors"] = 3
    assert build_evening(evening, visits=visits)["reasons"] == ["3 faults of event streams"]
    visits["events"] |= {"errors": 0, "left_out": "the gateway answers 404"}
    built = build_evening(evening, visits=visits)
    assert built["verdict"] == "pass"
    assert "left out" in report.render(built)


def test_the_page_shows_both_parts() -> None:
    """With a chart for each, and a table of every kind of request."""
    page = report.render(build_evening(SmallEvening()))
    for text in ("The gathering", "The drop", 'id="gathering-rates"', 'id="remaining"', "claims/me", "round again"):
        assert text in page
    assert 'id="gathering-calls"' not in page
