"""The measurement of an overload: small and interrupted, against the real claimd; and the judgement of its figures."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil
import pytest

from claimd.domain.claims import IDENTITY_BYTES, claim_id_prefix
from claimd.domain.times import from_rfc3339
from claimd.identity.keys import Keys
from loadtest.client.answers import Answer
from loadtest.client.flood import LoadRows
from loadtest.overload import consistency, rules
from loadtest.overload.claimants import Claimants
from loadtest.overload.consistency import STOCK
from loadtest.overload.figures import figures
from loadtest.overload.measuring import Load, LoadResult, Round
from loadtest.overload.probes import CONSOLE_READYZ, CONSOLE_ROUND, READYZ, ProbeLog
from loadtest.overload.rules import Bottleneck
from loadtest.target.console_client import ConsoleClient
from tests.up.running import eventually

ROOT = Path(__file__).resolve().parents[2]
BEGINS, ENDS, AFTER = 2.0, 6.0, 10.0


def started(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a short measurement whose temporary files are below `tmp_path`."""
    (tmp_path / "tmp").mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "loadtest.overload", "--rounds=1", "--seconds=2", *arguments],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def runs(process: psutil.Process, module: str) -> bool:
    """Return whether a process runs a module; False for one that has just ended."""
    try:
        return module in process.cmdline()
    except psutil.Error:
        return False


def test_a_small_measurement_end_to_end(tmp_path: Path) -> None:
    """With a slow server: it writes its figures, and its audit is clean, also on a slow machine."""
    out = tmp_path / "overload.json"
    process = started(tmp_path, "--delay-ms=300", "--times=2", "--connections=3000", f"--out={out}")
    output, _ = process.communicate(timeout=110)
    assert process.returncode in (0, 1, 2), output
    assert "the audit is clean" in output
    report = json.loads(out.read_text())
    (measured,) = report["rounds"]
    assert report["audit"] == {"ok": True, "differences": []}
    assert measured["wrong"] == 0
    assert measured["capacity_per_second"] > 0
    assert measured["granted_per_second"] > 0
    assert sum(measured["granted_each_step"]) > 0
    assert measured["memory"]["second_half"] > 0
    assert set(measured["probes"]) == {READYZ, CONSOLE_READYZ, CONSOLE_ROUND}
    # Every claim waits for one of the delayed replies.
    assert measured["ordinary_grants"]["p50_ms"] >= 300
    assert not list((tmp_path / "tmp").iterdir())


def test_an_interrupted_measurement_stops_every_process(tmp_path: Path) -> None:
    """Both `claimd up`, the slow server between them and the probes, under load."""
    process = started(tmp_path, "--delay-ms=100", "--times=1", "--connections=1600")
    try:
        measurement = psutil.Process(process.pid)
        eventually(
            lambda: any(runs(each, "loadtest.overload.probes") for each in measurement.children(True)),
            "the probes",
            # Two `claimd up` start before, and the capacity is measured.
            seconds=80,
        )
        descendants = measurement.children(True)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 130, output
        assert "interrupted" in output
        assert psutil.wait_procs(descendants, timeout=10)[1] == []
        assert not list((tmp_path / "tmp").iterdir())
    finally:
        process.kill()


def made_up(
    refused_after: float = 0.001, late: float = 0.0, every_nth_granted: int = 5, last_refused_at: float = ENDS
) -> Round:
    """Return a round with a capacity of 200 claims a second, an ordinary load of 50 and an overload of 1,000."""
    load = Load(BEGINS, ENDS, offered=1000.0, ordinary=50.0)
    due = np.concatenate(
        [np.arange(0, BEGINS, 1 / 50), np.arange(BEGINS, ENDS, 1 / 1000), np.arange(ENDS, AFTER, 1 / 50)]
    )
    overload = (due >= BEGINS) & (due < last_refused_at)
    answer = np.where(overload & (np.arange(len(due)) % every_nth_granted > 0), Answer.OVERLOADED, Answer.GRANTED)
    took = np.where(answer == Answer.OVERLOADED, refused_after, np.where(overload, 0.9, 0.1))
    sent = due + late
    rows = LoadRows(due, sent, sent + took, answer, np.arange(len(due)), *np.zeros((2, len(due)), np.int64))
    result = LoadResult(rows, 0, {"gateway": 1.0, "server": 0.1})
    samples = {name: [(at / 10, 0.02, 200) for at in range(100)] for name in (READYZ, CONSOLE_READYZ, CONSOLE_ROUND)}
    return Round(200.0, result, result, load, ProbeLog(samples, [(at / 10, 2**26) for at in range(100)]), 2**25)


def test_no_rule_is_broken_if_a_fifth_is_granted_and_the_rest_rejected_at_once() -> None:
    """Five times the capacity: the capacity is granted, the rest is rejected within milliseconds."""
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
    ("changes", "expected"),
    [
        ({"every_nth_granted": 10}, "fell to 50%"),
        ({"refused_after": 0.06}, "503 was answered in 60 ms"),
        ({"last_refused_at": AFTER}, "not served as before by the end"),
    ],
)
def test_a_broken_rule_is_reported(changes: dict[str, Any], expected: str) -> None:
    """Each on its own: too few grants, slow rejections, an ordinary load that is not served as before."""
    (sentence,) = rules.broken([figures(made_up(**changes))], Bottleneck.SERVER)
    assert expected in sentence


def test_a_late_generator_makes_the_figures_invalid() -> None:
    """Unless the gateway is the bottleneck, which shares its core with the generator."""
    measured = figures(made_up(late=0.011))
    assert measured.late == 1.0
    (sentence,) = rules.invalid([measured], Bottleneck.SERVER)
    assert "100.0% of the requests left more than 10 ms late" in sentence
    assert rules.invalid([measured], Bottleneck.GATEWAY) == []


def test_answers_other_than_201_and_503_are_wrong() -> None:
    """A dropped connection, too."""
    measured = made_up()
    measured.overload.rows.answer[:3] = (Answer.DROPPED, Answer.WRONG, Answer.UNAUTHENTICATED)
    found = figures(replace(measured, capacity=made_up().capacity))
    assert found.wrong == 3
    assert rules.wrong([found]) == ["3 answers were neither 201 nor 503"]
    assert rules.wrong([figures(made_up())]) == []


def test_memory_that_keeps_growing_breaks_a_rule() -> None:
    """A full queue takes no more requests."""
    measured = made_up()
    measured.probes.rss[:] = [(at / 10, int(2**26 * (1 + at / 50))) for at in range(100)]
    assert any("memory" in sentence for sentence in rules.broken([figures(measured)], Bottleneck.SERVER))


CLAIMED_AT = "2026-01-01T20:00:00.000Z"


class StubConsole:
    """A console with five claims, of the first five claimants in turn; `audited` replaces figures of its audit."""

    def __init__(self, claimants: Claimants, **audited: Any) -> None:
        identities = claimants.identities(np.arange(5))
        self.lines = [
            {
                "serial": serial,
                "id": f"{claim_id_prefix('r1')}-{serial}",
                "identity": identity[:IDENTITY_BYTES].hex(),
                "claimed_at": CLAIMED_AT,
            }
            for serial, identity in enumerate(identities.tolist(), 1)
        ]
        counted = {"total": STOCK, "issued": 5, "remaining": STOCK - 5, "claims": 5, "identities": 5}
        self.audited = {"ok": True, **counted, **audited}

    def export(self, round_id: str) -> Iterator[bytes]:
        yield b"".join(json.dumps(line).encode() + b"\n" for line in self.lines)

    def audit(self, round_id: str) -> dict[str, Any]:
        return self.audited


def loads(
    answers: Sequence[Answer] = (Answer.GRANTED,) * 5, serials: Sequence[int] = (1, 2, 3, 4, 5)
) -> list[LoadResult]:
    """Return one load of the first five claimants, one a second."""
    moments = np.arange(5.0)
    claimed_at_ms = np.where(np.array(answers) == Answer.GRANTED, from_rfc3339(CLAIMED_AT), 0)
    rows = LoadRows(
        moments, moments, moments, np.array(answers), np.array(serials), claimed_at_ms, np.zeros(5, np.int64)
    )
    return [LoadResult(rows, 0, {})]


def differences(console: StubConsole, claimants: Claimants, results: list[LoadResult]) -> list[str]:
    """Compare the loads with the stub's claims."""
    return consistency.differences(cast(ConsoleClient, console), "r1", claimants, results)


@pytest.fixture
def claimants() -> Claimants:
    """Claimants of round r1."""
    return Claimants(Keys.derive(b"the secret of these tests, and of them only"), "r1")


def test_an_export_that_fits_the_answers_has_no_differences(claimants: Claimants) -> None:
    """Every 201 is in the export; a claim whose answer was lost, or was 503, may be, too."""
    assert differences(StubConsole(claimants), claimants, loads()) == []
    for answer in (Answer.DROPPED, Answer.OVERLOADED):
        unknown = loads(answers=(Answer.GRANTED,) * 4 + (answer,), serials=(1, 2, 3, 4, 0))
        assert differences(StubConsole(claimants), claimants, unknown) == []


@pytest.mark.parametrize(
    ("audited", "answered", "expected"),
    [
        ({"ok": False}, {}, "the audit is not clean"),
        ({"issued": 6}, {}, "1 audit disagrees"),
        ({}, {"serials": (1, 2, 3, 5, 4)}, "2 told anothers"),
        ({}, {"serials": (1, 2, 3, 4, 4)}, "1 told anothers"),
        ({}, {"serials": (1, 2, 3, 4, 9)}, "1 told but not exported"),
        ({}, {"answers": (Answer.GRANTED,) * 4 + (Answer.UNAUTHENTICATED,)}, "1 exported but untold"),
    ],
)
def test_differences_are_found(
    claimants: Claimants, audited: dict[str, Any], answered: dict[str, Any], expected: str
) -> None:
    """An audit that is not clean, a counter that is wrong, and answers that do not fit the export."""
    found = differences(StubConsole(claimants, **audited), claimants, loads(**answered))
    assert any(expected in sentence for sentence in found), found
