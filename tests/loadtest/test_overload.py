"""The measurement of an overload: small and interrupted, against the real claimd; and how its figures are judged."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from claimd.domain.claims import claim_id_prefix
from claimd.domain.times import from_rfc3339
from claimd.identity.keys import Keys
from loadtest.client.answers import Answer
from loadtest.client.flood import LoadRows
from loadtest.overload import consistency, rules
from loadtest.overload.claimants import People
from loadtest.overload.consistency import STOCK
from loadtest.overload.figures import figures
from loadtest.overload.measuring import Asked, Load, Round
from loadtest.overload.probes import CONSOLE_READYZ, CONSOLE_ROUND, READYZ, Seen
from loadtest.overload.rules import Bottleneck
from tests.up.running import eventually

ROOT = Path(__file__).resolve().parents[2]
BEGINS, ENDS, AFTER = 2.0, 6.0, 10.0


def started(tmp_path, *arguments):
    (tmp_path / "tmp").mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "loadtest.overload", "--rounds=1", "--seconds=2", *arguments],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_small_measurement_end_to_end(tmp_path):
    """Of a slow server: it measures and reports, and its audit is clean, however slow this machine is."""
    out = tmp_path / "overload.json"
    process = started(tmp_path, "--delay-ms=300", "--times=2", "--connections=3000", f"--out={out}")
    said, _ = process.communicate(timeout=110)
    assert process.returncode in (0, 1, 2), said
    assert "the audit is clean" in said
    report = json.loads(out.read_text())
    (measured,) = report["rounds"]
    assert report["audit"] == {"ok": True, "differences": []}
    assert measured["wrong"] == 0
    assert measured["capacity_per_second"] > 0
    assert measured["granted_per_second"] > 0
    assert sum(measured["granted_each_step"]) > 0
    assert measured["memory"]["second_half"] > 0
    assert set(measured["probes"]) == {READYZ, CONSOLE_READYZ, CONSOLE_ROUND}
    # Each of its replies is late by so much, and every claim needs one.
    assert measured["ordinary_grants"]["p50_ms"] >= 300
    assert not list((tmp_path / "tmp").iterdir())


def test_an_interrupted_measurement_stops_everything(tmp_path):
    """Both `claimd up`, the slow server between them and the probes, in the middle of the load."""
    process = started(tmp_path, "--delay-ms=100", "--times=1", "--connections=1600")
    try:
        me = psutil.Process(process.pid)
        eventually(
            lambda: any("loadtest.overload.probes" in each.cmdline() for each in me.children(True)), "the probes"
        )
        all_of_them = me.children(True)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 130, said
        assert "interrupted" in said
        assert psutil.wait_procs(all_of_them, timeout=10)[1] == []
        assert not list((tmp_path / "tmp").iterdir())
    finally:
        process.kill()


def made_up(refused_after=0.001, late=0.0, every_nth_granted=5, last_refused_at=ENDS):
    """A round with a capacity of 200 claims a second, of which an ordinary load is 50, and 1,000 are asked for."""
    load = Load(BEGINS, ENDS, offered=1000.0, ordinary=50.0)
    due = np.concatenate(
        [np.arange(0, BEGINS, 1 / 50), np.arange(BEGINS, ENDS, 1 / 1000), np.arange(ENDS, AFTER, 1 / 50)]
    )
    overload = (due >= BEGINS) & (due < last_refused_at)
    told = np.where(overload & (np.arange(len(due)) % every_nth_granted > 0), Answer.OVERLOADED, Answer.GRANTED)
    took = np.where(told == Answer.OVERLOADED, refused_after, np.where(overload, 0.9, 0.1))
    sent = due + late
    answers = LoadRows(due, sent, sent + took, told, np.arange(len(due)), *np.zeros((2, len(due)), np.int64))
    asked = Asked(answers, 0, {"gateway": 1.0, "server": 0.1})
    looks = {name: [(at / 10, 0.02, 200) for at in range(100)] for name in (READYZ, CONSOLE_READYZ, CONSOLE_ROUND)}
    return Round(200.0, asked, asked, load, Seen(looks, [(at / 10, 2**26) for at in range(100)]), 2**25)


def test_the_promises_hold_where_a_fifth_is_granted_and_the_rest_refused_at_once():
    """Five times the capacity: all of the capacity is granted, the rest is told within milliseconds."""
    measured = figures(made_up())
    assert measured.granted_per_second == pytest.approx(200, rel=0.05)
    assert measured.share_of_capacity == pytest.approx(1.0, rel=0.05)
    assert measured.refused_per_second == pytest.approx(800, rel=0.05)
    assert measured.refusals.p99_ms == pytest.approx(1.0)
    assert measured.grants.p50_ms == pytest.approx(900)
    assert measured.recovery_seconds == 0
    assert rules.broken([measured], Bottleneck.SERVER) == []
    assert rules.invalid([measured], Bottleneck.SERVER) == []


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"every_nth_granted": 10}, "fell to 50%"),
        ({"refused_after": 0.06}, "503 was answered in 60 ms"),
        ({"last_refused_at": AFTER}, "not seen that all was as before"),
    ],
)
def test_a_broken_promise_is_said(how, told):
    """Each on its own: too few grants, refusals that keep people waiting, a load that is over and still felt."""
    (sentence,) = rules.broken([figures(made_up(**how))], Bottleneck.SERVER)
    assert told in sentence


def test_a_late_generator_makes_the_figures_invalid():
    """Never good by luck: what was not asked when it was due says nothing. Where all share a core it is only told."""
    measured = figures(made_up(late=0.011))
    assert measured.late == 1.0
    (sentence,) = rules.invalid([measured], Bottleneck.SERVER)
    assert "100.0% of the requests left more than 10 ms late" in sentence
    assert rules.invalid([measured], Bottleneck.GATEWAY) == []


def test_answers_that_are_lost_or_something_else_are_wrong():
    """Only 201 and 503 may be told in an overload."""
    measured = made_up()
    measured.overload.answers.answer[:3] = (Answer.DROPPED, Answer.WRONG, Answer.UNAUTHENTICATED)
    found = figures(replace(measured, capacity=made_up().capacity))
    assert found.wrong == 3
    assert rules.wrong([found]) == ["3 answers were neither 201 nor 503"]
    assert rules.wrong([figures(made_up())]) == []


def test_memory_that_grows_all_the_while_is_not_bounded():
    """A queue that is full takes no more."""
    measured = made_up()
    measured.seen.rss[:] = [(at / 10, 2**26 * (1 + at / 50)) for at in range(100)]
    assert any("memory" in sentence for sentence in rules.broken([figures(measured)], Bottleneck.SERVER))


CLAIMED_AT = "2026-01-01T20:00:00.000Z"


class Books:
    """A console that says what a test makes it say about five claims, of the first five people in turn."""

    def __init__(self, people, **kept):
        identities = people.identities(np.arange(5))
        self.lines = [
            {
                "serial": serial,
                "id": f"{claim_id_prefix('r1')}-{serial}",
                "identity": identity[:16].hex(),
                "claimed_at": CLAIMED_AT,
            }
            for serial, identity in enumerate(identities.tolist(), 1)
        ]
        counted = {"total": STOCK, "issued": 5, "remaining": STOCK - 5, "claims": 5, "identities": 5}
        self.kept = {"ok": True, **counted, **kept}

    def export(self, round_id):
        yield b"".join(json.dumps(line).encode() + b"\n" for line in self.lines)

    def audit(self, round_id):
        return self.kept


def told_in_order(told=(Answer.GRANTED,) * 5, serials=(1, 2, 3, 4, 5)):
    """Five people who asked, and what they were told."""
    moments = np.arange(5.0)
    claimed_at_ms = np.where(np.array(told) == Answer.GRANTED, from_rfc3339(CLAIMED_AT), 0)
    answers = LoadRows(
        moments, moments, moments, np.array(told), np.array(serials), claimed_at_ms, np.zeros(5, np.int64)
    )
    return [Asked(answers, 0, {})]


@pytest.fixture
def people():
    return People(Keys.derive(b"the secret of these tests, and of them only"), "r1")


def test_books_that_say_what_people_were_told_are_in_order(people):
    """Every 201 is in the export; a claim whose answer was lost, or was "ask again", may be, too."""
    assert consistency.differences(Books(people), "r1", people, told_in_order()) == []
    for told in (Answer.DROPPED, Answer.OVERLOADED):
        unknown = told_in_order(told=(Answer.GRANTED,) * 4 + (told,), serials=(1, 2, 3, 4, 0))
        assert consistency.differences(Books(people), "r1", people, unknown) == []


@pytest.mark.parametrize(
    ("kept", "asked", "told"),
    [
        ({"ok": False}, {}, "the audit is not clean"),
        ({"issued": 6}, {}, "1 audit disagrees"),
        ({}, {"serials": (1, 2, 3, 5, 4)}, "2 told anothers"),
        ({}, {"serials": (1, 2, 3, 4, 4)}, "1 told anothers"),
        ({}, {"serials": (1, 2, 3, 4, 9)}, "1 told but not exported"),
        ({}, {"told": (Answer.GRANTED,) * 4 + (Answer.UNAUTHENTICATED,)}, "1 exported but untold"),
    ],
)
def test_books_that_differ_are_found(people, kept, asked, told):
    """An audit that complains, a counter that is off, and people who were told what is not so."""
    found = consistency.differences(Books(people, **kept), "r1", people, told_in_order(**asked))
    assert any(told in sentence for sentence in found), found
