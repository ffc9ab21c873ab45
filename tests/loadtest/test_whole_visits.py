"""Whole visits: drops with `VISITS=whole`, against a stub with faults and against the real claimd."""

import json
from pathlib import Path

import pytest

from tests.loadtest.crowding import channel, crowd, stub
from tests.loadtest.test_drop import drop, left_behind

WHOLE = ("--pool=300", "--seconds=1", "--visits=whole", "--gathering=5")


def test_a_small_evening_end_to_end(tmp_path: Path) -> None:
    """Against the real claimd: every answer of every visit is right, and only the report is left behind."""
    out = tmp_path / "out"
    done = drop(
        tmp_path, "--pool=300", "--seconds=2", "--visits=whole", "--gathering=5", f"--out={out}", "--tokens=ES256"
    )
    report = json.loads((out / "report.json").read_text())
    assert done.returncode == {"pass": 0, "fail": 1, "invalid": 2}[report["verdict"]]
    assert (report["visits"], report["granted"], report["errors"], report["offered"]) == ("whole", 300, 0, 385)
    gathering, beside = report["gathering"], report["beside_drop"]
    assert {name: own["answered"] for name, own in gathering["requests"].items()} == {
        "round": 360, "pass": 360, "round_again": 180,
    }  # fmt: skip
    assert {name: own["answered"] for name, own in beside["requests"].items()} == {
        "claims_me": 360, "round_during_drop": 36,
    }  # fmt: skip
    assert (gathering["errors"], beside["errors"], gathering["retries"]) == (0, 0, 0)
    assert beside["requests"]["claims_me"]["not_claimed"] == 60
    assert gathering["tokens"]["algorithm"] == "ES256"
    assert gathering["tokens"]["count"] == 360
    assert gathering["server_calls_per_second"]["peak"] > 0
    assert (report["recount"]["looked_up"], report["recount"]["passes"]) == (360, 360)
    assert report["audit"]["ok"]
    assert report["recount"]["violations"] == {}
    assert report["generator"]["app_users"] == 0
    assert "360 people gather over 5 s" in done.stdout
    page = (out / "report.html").read_text()
    assert "The gathering" in page
    assert 'id="gathering-rates"' in page
    assert left_behind(tmp_path) == []


def test_unchanged_rounds_and_events_are_used(tmp_path: Path) -> None:
    """With an ETag, a second look before the opening is a 304; people watch the events of a gateway that has them."""
    with stub(tmp_path, "--etag", "--events") as url:
        ran = crowd(tmp_path, url, *WHOLE, "--watchers=2")
    assert ran.report, ran.output
    gathering = ran.report["gathering"]
    again = gathering["requests"]["round_again"]
    assert (again["unchanged"], again["answered"]) == (180, 180)
    assert (gathering["events"]["left_out"], gathering["events"]["streams"], gathering["events"]["errors"]) == (
        None,
        2,
        0,
    )
    assert gathering["events"]["events"] > 4
    assert ran.report["recount"]["violations"] == {}
    assert ran.report["recount"]["readings"] == 360 + 180 + 36 + gathering["events"]["events"]


def test_faults_reach_the_verdict_and_people_retry(tmp_path: Path) -> None:
    """A 503 for a pass is an error, though the person asks again and claims; a look-up that denies a claim is caught.

    A gateway without events is no fault: nothing is watched, and the report has the reason.
    """
    with stub(tmp_path, "--fail-passes=20", "--lie-to=100") as url:
        ran = crowd(tmp_path, url, *WHOLE, "--watchers=2", "--heads=equal")
    gathering = ran.report["gathering"]
    # 360 people, and a retry for one in twenty of all requests.
    assert gathering["retries"] == gathering["errors"] == gathering["requests"]["pass"]["errors"] == 18
    assert ran.report["error_texts"] == {"pass: 503 unavailable": 18}
    assert any("18 answers of the gathering" in reason for reason in ran.report["reasons"])
    assert ran.report["granted"] == 300
    assert set(ran.report["recount"]["violations"]) == {"not_claimed_untruly"}
    assert (ran.report["verdict"], ran.exit_code) == ("fail", 1)
    assert "404" in gathering["events"]["left_out"]
    assert (gathering["events"]["events"], gathering["events"]["errors"]) == (0, 0)
    assert ran.report["heads"] == "equal"


def test_several_processes_share_the_people(tmp_path: Path) -> None:
    """Each with all requests of a person; the master recounts them together."""
    with stub(tmp_path, "--etag") as url:
        ran = crowd(tmp_path, url, *WHOLE, "--watchers=0", "--processes=2", *channel())
    assert ran.report, ran.output
    assert ran.report["generator"]["processes"] == 2
    assert (ran.report["offered"], ran.report["granted"], ran.report["errors"]) == (385, 300, 0)
    assert ran.report["gathering"]["asked"] == 900
    assert ran.report["gathering"]["tokens"]["count"] == 360
    assert ran.report["recount"]["violations"] == {}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--visits=whole", "--seconds=0"), "SECONDS=0"),
        (("--visits=whole", "--gathering=4"), "gather in 4 s"),
        (("--visits=whole", "--gathering=nan"), "gather in nan s"),
        (("--visits=whole", "--app-users=3"), "--app-users"),
        (("--visits=half",), "--visits"),
        (("--gathering=60",), "VISITS=whole"),
        (("--watchers=3",), "VISITS=whole"),
        (("--visits=whole", "--tokens=none"), "--tokens"),
        (("--heads=red",), "--heads"),
    ],
)
def test_options_that_do_not_fit_end_with_a_sentence(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    """Before anything is started, and with exit code 1, as 2 means an invalid run."""
    done = drop(tmp_path, *arguments)
    assert done.returncode == 1
    assert sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_whole_visits_need_a_key(tmp_path: Path) -> None:
    """Without a JWKS no person has a token."""
    with stub(tmp_path) as url:
        ran = crowd(tmp_path, url, *WHOLE, "--jwks=")
    assert ran.exit_code == 1
    assert "whole visits need bearer tokens" in ran.output
