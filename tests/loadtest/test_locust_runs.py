"""Whole runs of Locust against a stub that behaves, and that misbehaves in ways a harness must not miss.

The machine may be busy: whether a run is valid is asserted only where it must not be.
"""

import pytest
from crowding import channel, crowd, stub

SIZE = ("--pool=300", "--seconds=1")


def test_a_drop_is_told_as_it_was(tmp_path):
    """Every answer of the stub is counted, by kind; the books agree; Locust's own table shows the crowd."""
    with stub(tmp_path) as url:
        ran = crowd(tmp_path, url, *SIZE)
    told = ran.report
    assert told["verdict"] in {"pass", "invalid"}
    assert ran.exit_code == {"pass": 0, "invalid": 2}[told["verdict"]]
    assert (told["granted"], told["replayed"], told["errors"]) == (300, told["replayed"], 0)
    # 300 + 60 people, 18 double taps, 4 early birds, 3 bad passes.
    assert told["offered"] == 385
    assert told["granted"] + told["replayed"] + told["sold_out"] == 378
    assert told["refused"] == 7
    assert told["recount"]["ok"]
    assert told["generator"]["app_users"] == 3
    assert "claim: double tap" in ran.output
    assert "app: my claim" in ran.output
    assert (tmp_path / "out" / "report.html").exists()


def test_several_processes_share_the_crowd(tmp_path):
    """The master recounts what its workers were told."""
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
def test_a_misbehaving_claimd_fails(tmp_path, fault, reason):
    """Errors and broken promises reach verdict and exit code."""
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
def test_as_fast_as_it_goes(tmp_path, faults, reason):
    """No target and no ceiling stands between a right answer and a pass; each wrong one still fails."""
    with stub(tmp_path, *faults) as url:
        ran = crowd(tmp_path, url, "--pool=300", "--seconds=0", "--app-users=0")
    assert (ran.report["verdict"], ran.exit_code) == (("pass", 0) if reason is None else ("fail", 1))
    assert (reason is None and ran.report["reasons"] == []) or any(reason in said for said in ran.report["reasons"])


def test_several_processes_offer_it_all_at_once(tmp_path):
    """The same crowd, whoever carries it."""
    with stub(tmp_path) as url:
        ran = crowd(tmp_path, url, "--pool=300", "--seconds=0", "--processes=2", *channel())
    assert ran.report, ran.output
    assert (ran.report["verdict"], ran.exit_code) == ("pass", 0)
    assert (ran.report["loop"], ran.report["generator"]["processes"]) == ("closed", 2)
    assert (ran.report["offered"], ran.report["granted"]) == (381, 300)


def test_app_users_retry(tmp_path):
    """503 and dropped connections are an app's daily bread: it asks again, and gets the claim it holds."""
    with stub(tmp_path, "--fail-every=3") as url:
        ran = crowd(tmp_path, url, "--pool=20", "--seconds=1", "--app-users=20")
    assert ran.report["generator"]["app_retries"] > 0
    assert not any("app" in text for text in ran.report["error_texts"])
    assert ran.report["recount"]["violations"] == {}


def test_a_blocked_generator_is_invalid_not_slow(tmp_path):
    """It had connections free and no processor time: exit code 2, whatever the figures look like."""
    with stub(tmp_path) as url:
        ran = crowd(tmp_path, url, *SIZE, locustfile="tests/loadtest/blocked_locustfile.py")
    assert (ran.report["verdict"], ran.exit_code) == ("invalid", 2)
    assert ran.report["generator"]["late_fraction"] > 0.5


def test_a_stalled_server_is_latency_not_lateness(tmp_path):
    """It answered nobody for a second: what was due meanwhile waited, and the generator is not to blame."""
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
def test_what_cannot_be_run_is_said(tmp_path, arguments, sentence):
    """In a sentence, with exit code 1 and without a report."""
    with stub(tmp_path) as url:
        ran = crowd(tmp_path, url, *arguments)
    assert ran.exit_code == 1
    assert not ran.report
    assert sentence in ran.output
    assert "Traceback" not in ran.output
