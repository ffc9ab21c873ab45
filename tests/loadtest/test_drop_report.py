"""The report of a drop: its fields, the rules of its verdict, and its page."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest import commandline
from loadtest.client.answers import Answer
from loadtest.crowd.records import Records
from loadtest.crowd.schedule import gather
from loadtest.drop import figures, report
from loadtest.drop.verdict import Verdict, judge, tolerance_seconds
from loadtest.drop.visits.figures import Evening
from tests.loadtest.drops import OPENS_AT_MS, POOL, ROUND, SmallDrop

PUBLIC_FIELDS = {
    "verdict", "pool", "seconds_target", "seconds_to_sellout", "offered", "granted", "replayed", "sold_out", "refused",
    "errors", "latency_ms", "generator", "audit", "machine", "commit",
}  # fmt: skip


def build(
    drop: SmallDrop,
    seconds: float = 3.9,
    processes: dict[str, Any] | None = None,
    evening: Evening | None = None,
    **fared: Any,
) -> dict[str, Any]:
    """The report of a drop whose generator fared like this."""
    return report.build(
        report.DropResult(
            round_id=ROUND,
            pool=POOL,
            seconds=seconds,
            seed=1,
            rows=drop.rows,
            generators=[drop.done(**fared)],
            export=drop.export,
            audit=drop.audit,
            recount=drop.recount(),
            processes=processes or {},
            server_ms_at_zero=OPENS_AT_MS,
            heads="varied",
            evening=evening,
        )
    )


def test_the_public_fields() -> None:
    """All are there, with the figures of a drop without mistakes."""
    built = build(SmallDrop())
    assert set(built) >= PUBLIC_FIELDS
    assert built["verdict"] == "pass"
    assert built["reasons"] == []
    assert built["seconds_to_sellout"] == pytest.approx(3.9)
    answers = {name: built[name] for name in ("offered", "granted", "replayed", "sold_out", "refused", "errors")}
    assert answers == {"offered": 54, "granted": 40, "replayed": 2, "sold_out": 10, "refused": 2, "errors": 0}
    assert built["offered"] == sum(answers.values()) - built["offered"]
    assert built["latency_ms"] == pytest.approx(dict.fromkeys(("p50", "p90", "p99", "p999", "max"), 5.0))
    assert set(built["generator"]) >= {"late_fraction", "cpu_fraction"}


def test_latency_counts_from_the_intended_time() -> None:
    """A request that waited two seconds for a connection and one ms for its answer took 2,001 ms."""
    drop = SmallDrop()
    row = drop.row(10)
    row["sent"] = row["free_since"] = row["intended"] + 2.0
    row["done"] = row["sent"] + 0.001
    drop.rows = drop.rows[np.argsort(drop.rows["sent"], kind="stable")]
    built = build(drop)
    assert built["latency_ms"]["max"] == pytest.approx(2001.0)
    assert built["generator"]["late_fraction"] == 0.0


def test_a_late_generator_makes_the_run_invalid() -> None:
    """The other figures are good."""
    drop = SmallDrop()
    drop.rows["sent"] += 0.5
    drop.rows["done"] += 0.5
    assert build(drop)["verdict"] == "invalid"


def test_blind_spells_reach_the_verdict() -> None:
    """A request that fell due while the generator did not run was late by its own doing."""
    drop = SmallDrop()
    held = (drop.rows["intended"] > 1) & (drop.rows["intended"] < 2)
    drop.rows["sent"][held] = drop.rows["free_since"][held] = 2.0
    drop.rows["done"][held] = 2.1
    assert build(drop)["verdict"] == "pass"
    assert build(drop, blind=[[1.0, 2.0]])["verdict"] == "invalid"


def test_a_generator_without_a_core_left_makes_the_run_invalid() -> None:
    """It may have been late without noticing."""
    assert build(SmallDrop(), busiest_cpu_fraction=0.97)["verdict"] == "invalid"


def test_an_inconsistency_fails_also_with_a_late_generator() -> None:
    """A pack that was granted twice is wrong at any speed."""
    drop = SmallDrop()
    drop.row(3)["serial"] = 9
    assert build(drop, busiest_cpu_fraction=0.99)["verdict"] == "fail"


def test_an_error_fails() -> None:
    """A single one, and the reason quotes it."""
    drop = SmallDrop()
    drop.row(45)["answer"] = Answer.WRONG
    built = build(drop, errors={"503 unavailable": 1})
    assert built["verdict"] == "fail"
    assert "503 unavailable" in built["reasons"][0]


@pytest.mark.parametrize(("seconds", "expected"), [(3.0, "pass"), (4.8, "pass"), (2.8, "fail"), (5.0, "fail")])
def test_the_sell_out_must_meet_the_target(seconds: float, expected: str) -> None:
    """To within a second for short drops."""
    assert build(SmallDrop(), seconds)["verdict"] == expected


def test_the_tolerance_of_the_real_drop() -> None:
    """105 ± 3 s."""
    assert tolerance_seconds(105) == pytest.approx(3.0)
    assert tolerance_seconds(10) == 1.0


def test_slow_answers_fail() -> None:
    """Half of them took two seconds or more."""
    drop = SmallDrop()
    drop.rows["done"] += np.where(np.arange(len(drop.rows)) % 2, 2.0, 0.0)
    assert build(drop)["verdict"] == "fail"


def test_packs_left_fail() -> None:
    """A drop that is not sold out to the last pack."""
    built = build(SmallDrop()) | {"seconds_to_sellout": None}
    assert judge(built).verdict is Verdict.FAIL


def closed(drop: SmallDrop) -> SmallDrop:
    """The same rows as a closed loop records them: due, and sent, when the connection is free."""
    drop.rows["sent"] = drop.rows["free_since"] = drop.rows["intended"]
    return drop


def test_a_closed_loop_has_no_pace_to_keep() -> None:
    """Neither latency nor a generator that uses up its core counts against it; the report has its capacity."""
    drop = closed(SmallDrop())
    drop.rows["done"] += 5.0
    built = build(drop, seconds=0, busiest_cpu_fraction=1.0, blind=[[0.0, 3.0]])
    assert (built["verdict"], built["reasons"]) == ("pass", [])
    assert (built["loop"], built["seconds_target"]) == ("closed", 0)
    assert built["generator"]["late_fraction"] == 0.0
    assert built["capacity"]["packs_per_second"] == round(POOL / 3.9)
    assert build(closed(SmallDrop()))["capacity"] is None


@pytest.mark.parametrize(
    ("own_share", "busiest"), [(0.7, "gateway-0"), (0.9, "generator")], ids=["claimd", "the generator"]
)
def test_a_closed_loop_names_the_busiest_process(own_share: float, busiest: str) -> None:
    """Where that is the generator, claimd's capacity was not reached, and the page has a note about it."""
    processes = {
        name: {
            "cpu_seconds": 1.0,
            "cpu_fraction": 0.5,
            "cpu_fraction_peak": 1.0,
            "busiest_cpu_fraction": share,
            "rss_peak_mib": 1.0,
        }
        for name, share in [("valkey", 0.3), ("gateway-0", 0.8), ("locust", 0.99)]
    }
    built = build(closed(SmallDrop()), seconds=0, processes=processes, busiest_cpu_fraction=own_share)
    assert built["capacity"]["busiest"] == busiest
    assert built["processes"]["gateway-0"]["cpu_us_per_request"] == pytest.approx(1e6 / 54, abs=0.01)
    assert ("claimd might do more" in report.render(built)) is (busiest == "generator")


@pytest.mark.parametrize(
    "corrupt", [lambda row: row.__setitem__("answer", Answer.WRONG), lambda row: row.__setitem__("serial", 9)]
)
def test_a_wrong_answer_fails_a_closed_loop(corrupt: Callable[[Any], None]) -> None:
    """No answer of the API, or another claim's serial."""
    drop = closed(SmallDrop())
    corrupt(drop.row(3))
    assert build(drop, seconds=0, errors={"500": 1})["verdict"] == "fail"


def test_a_closed_loop_must_sell_out() -> None:
    """To the last pack."""
    built = build(closed(SmallDrop()), seconds=0) | {"seconds_to_sellout": None}
    assert judge(built).verdict is Verdict.FAIL
    drop = SmallDrop()
    drop.edit_export(**{name: getattr(drop.export, name)[:-1] for name in ("serials", "identities", "claimed_at_ms")})
    built = build(closed(drop), seconds=0)
    assert built["capacity"]["packs_per_second"] is None
    assert "as fast as it goes" in report.render(built)


def test_latency_of_a_closed_loop_counts_from_sending() -> None:
    """All requests are due at the opening; the wait for a connection is not the server's latency."""
    records = Records(gather(POOL, 0, 1, 0))
    for row in range(len(records.schedule) - 1):
        records.sent[row] = row / 10
        records.note(row, row / 10 + 0.005, Answer.SOLD_OUT, 0, 0)
    rows = records.rows()
    assert figures.latency_ms(figures.answered(rows)) == pytest.approx(np.full(len(rows) - 1, 5.0))
    assert records.intended()[-1] == 0.0
    assert records.intended(np.array([3, 1])).tolist() == [0.3, 0.1]


def test_each_verdict_has_its_exit_code() -> None:
    """A script can distinguish a failed drop from an invalid one."""
    assert [verdict.exit_code for verdict in (Verdict.PASS, Verdict.FAIL, Verdict.INVALID)] == [0, 1, 2]


def test_both_files_are_written_and_latest_points_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second report moves `latest` to its own folder."""
    monkeypatch.setattr(commandline, "OUT", tmp_path)
    built = build(SmallDrop())
    for _ in range(2):
        folder = commandline.new_folder()
        report.write(built, folder)
        assert (tmp_path / "latest").resolve() == folder
    assert json.loads((tmp_path / "latest" / "report.json").read_text()) == built


def test_the_page_needs_no_network() -> None:
    """The charts and their library are in the one file."""
    page = report.render(build(SmallDrop()))
    assert "Plotly" in page
    assert "<h1>pass</h1>" in page
    ours = page.replace(page[page.index("<script>") : page.index("</script>")], "")
    assert "http" not in ours
    assert "src=" not in ours


def test_the_page_of_a_failure_gives_the_reason_escaped() -> None:
    """An answer that is quoted must not become markup."""
    drop = SmallDrop()
    drop.row(45)["answer"] = Answer.WRONG
    page = report.render(build(drop, errors={"500 with <script>alert(1)</script>": 1}))
    assert "&lt;script&gt;alert" in page
    assert "<script>alert" not in page
