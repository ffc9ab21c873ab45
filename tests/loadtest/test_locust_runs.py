"""Whole runs of Locust against a stub, which is correct or has faults that the harness must notice.

The machine may be busy: a run may be invalid, unless a test asserts otherwise.
"""

from pathlib import Path

import pytest

from tests.loadtest.crowding import channel, crowd, stub

SIZE = ("--pool=300", "--seconds=1")


def test_a_report_counts_every_answer(tmp_path: Path) -> None:
    """By kind; the recount agrees, and Locust's own table has the crowd's requests."""
    with stub(tmp_path) as url:
        ran = crowd(tmp_path, url, *SIZE)
    report = ran.report
    assert report["verdict"] in {"pass", "invalid"}
    assert ran.exit_code == {"pass": 0, "invalid": 2}[report["verdict"]]
    assert (report["granted"], report["replayed"], report["errors"]) == (300, report["replayed"], 0)
    # 300 + 60 people, 18 double taps, 4 early birds, 3 bad passes.
    assert report["offered"] == 385
    assert report["granted"] + report["replayed"] + report["sold_out"] == 378
    assert report["refused"] == 7
    assert report["recount"]["ok"]
    assert report["generator"]["app_users"] == 3
    assert "claim: double tap" in ran.output
    assert "app: my claim" in ran.output
    assert (tmp_path / "out" / "report.html").exists()


def test_several_processes_share_the_crowd(tmp_path: Path) -> None:
    """The master recounts the answers of its workers."""
    with stub(tmp_path) as url:
        ran = crowd(tmp_path, url, *SIZE, "--processes=2", *channel())
    assert ran.report, ran.output
    assert ran.report["generator"]["processes"] == 2
    assert ran.report["offered"] == 385
    assert ran.report["granted"] == 300
    assert ran.report["recount"]["ok"]
    assert ran.report["errors"] == 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("--fail-every=50", "503 unavailable"),
        ("--drop-every=50", "connection dropped"),
        ("--oversell=2", "oversold"),
    ],
)
def test_a_faulty_claimd_fails(tmp_path: Path, fault: str, reason: str | None) -> None:
    """Errors and inconsistencies reach the verdict and the exit code."""
    with stub(tmp_path, fault) as url:
        ran = crowd(tmp_path, url, *SIZE, "--app-users=0")
    judged = ran.report["verdict"], ran.exit_code
    # Errors of a run whose generator was late mean nothing; more grants than packs always do.
    assert judged == ("fail", 1) or (judged == ("invalid", 2) and fault != "--oversell=2")
    assert any(reason in sentence for sentence in ran.report["reasons"])


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ((), None),
        (("--fail-every=50",), "503 unavailable"),
        (("--drop-every=50",), "connection dropped"),
        (("--oversell=2",), "oversold"),
        (("--sell-short=1",), "not sold out: 299 of 300"),
    ],
)
def test_as_fast_as_it_goes(tmp_path: Path, faults: tuple[str, ...], reason: str | None) -> None:
    """Without a target or a ceiling, a drop passes when every answer is right, and only then."""
    with stub(tmp_path, *faults) as url:
        ran = crowd(tmp_path, url, "--pool=300", "--seconds=0", "--app-users=0")
    assert (ran.report["verdict"], ran.exit_code) == (("pass", 0) if reason is None else ("fail", 1))
    assert (
        ran.report["reasons"] == [] if reason is None else any(reason in sentence for sentence in ran.report["reasons"])
    )


def test_several_processes_offer_it_all_at_once(tmp_path: Path) -> None:
    """The same crowd from two processes."""
    with stub(tmp_path) as url:
        ran = crowd(tmp_path, url, "--pool=300", "--seconds=0", "--processes=2", *channel())
    assert ran.report, ran.output
    assert (ran.report["verdict"], ran.exit_code) == ("pass", 0)
    assert (ran.report["loop"], ran.report["generator"]["processes"]) == ("closed", 2)
    assert (ran.report["offered"], ran.report["granted"]) == (381, 300)


def test_app_users_retry(tmp_path: Path) -> None:
    """After a 503 or a dropped connection the app claims again and gets the claim that it holds."""
    with stub(tmp_path, "--fail-every=3") as url:
        ran = crowd(tmp_path, url, "--pool=20", "--seconds=1", "--app-users=20")
    assert ran.report["generator"]["app_retries"] > 0
    assert not any("app" in text for text in ran.report["error_texts"])
    assert ran.report["recount"]["violations"] == {}


def test_a_blocked_generator_is_invalid_not_slow(tmp_path: Path) -> None:
    """It had free connections and no processor time: exit code 2."""
    with stub(tmp_path) as url:
        ran = crowd(tmp_path, url, *SIZE, locustfile="tests/loadtest/blocked_locustfile.py")
    assert (ran.report["verdict"], ran.exit_code) == ("invalid", 2)
    assert ran.report["generator"]["late_fraction"] > 0.5


def test_a_stalled_server_is_latency_not_lateness(tmp_path: Path) -> None:
    """The server answered nothing for a second: requests that fell due waited, and the generator was not late."""
    with stub(tmp_path, "--stall-after=100", "--stall-seconds=1.0") as url:
        ran = crowd(tmp_path, url, "--pool=300", "--seconds=2", "--app-users=0", "--users=5")
    assert ran.report["latency_ms"]["max"] >= 990
    assert ran.report["latency_ms"]["p90"] >= 300
    # Half of all requests waited for the stall; a generator that took it for its own lateness would show it here.
    assert ran.report["generator"]["late_fraction"] < 0.25


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--pool=0",), "POOL=0"),
        (("--seconds=-1",), "SECONDS=-1"),
        (("--secret=short",), "at least 32"),
        (("--round=was-claimed-in", *SIZE), "claims"),
    ],
)
def test_a_run_that_cannot_start_ends_with_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    """With exit code 1 and without a report."""
    with stub(tmp_path) as url:
        ran = crowd(tmp_path, url, *arguments)
    assert ran.exit_code == 1
    assert not ran.report
    assert sentence in ran.output
    assert "Traceback" not in ran.output
