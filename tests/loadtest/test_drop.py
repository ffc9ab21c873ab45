"""`python -m loadtest.drop` against the real claimd, from its start to its report."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]


def command(*arguments: str) -> list[str]:
    """The command line of a drop."""
    return [sys.executable, "-m", "loadtest.drop", *arguments]


def drop(tmp_path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a drop to its end, with its temporary files in `tmp_path`."""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    return subprocess.run(
        command(*arguments), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False
    )


def left_behind(tmp_path: Path) -> list[psutil.Process]:
    """Processes that were started for a drop in `tmp_path`."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(str(tmp_path) in word for word in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_small_drop_end_to_end(tmp_path: Path) -> None:
    """Every answer is right, the recount agrees, and only the report is left behind.

    Whether the drop was fast enough to pass depends on the machine.
    """
    out = tmp_path / "out"
    done = drop(tmp_path, "--pool=300", "--seconds=2", f"--out={out}")
    report = json.loads((out / "report.json").read_text())
    assert done.returncode == {"pass": 0, "fail": 1, "invalid": 2}[report["verdict"]]
    assert (report["granted"], report["errors"], report["offered"]) == (300, 0, 385)
    assert report["audit"]["ok"]
    assert report["recount"]["violations"] == {}
    assert report["generator"]["app_users"] == 3
    assert {"valkey", "gateway-0", "console", "locust"} <= set(report["processes"])
    assert report["verdict"].upper() in done.stdout
    assert "report.html" in done.stdout
    assert left_behind(tmp_path) == []
    assert not list(tmp_path.glob("claimd-drop-*"))


def test_as_fast_as_it_goes(tmp_path: Path) -> None:
    """The whole pool at once: sold out to the last pack and every answer right, so it passes, on any machine."""
    out = tmp_path / "out"
    done = drop(tmp_path, "--pool=3000", "--seconds=0", f"--out={out}")
    report = json.loads((out / "report.json").read_text())
    assert (done.returncode, report["verdict"], report["reasons"]) == (0, "pass", [])
    assert (report["loop"], report["seconds_target"], report["generator"]["late_fraction"]) == ("closed", 0, 0)
    # 3,000 + 600 people, 180 double taps, 18 bad passes, and no early birds.
    answers = [report[name] for name in ("offered", "granted", "sold_out", "refused", "errors")]
    assert answers == [3798, 3000, 780 - report["replayed"], 18, 0]
    assert report["replayed"] > 100
    assert report["recount"]["violations"] == {}
    assert report["generator"]["app_users"] == 30
    assert report["capacity"]["packs_per_second"] == pytest.approx(3000 / report["seconds_to_sellout"], abs=1)
    assert report["capacity"]["busiest"] in {*report["processes"], "generator"} - {"locust"}
    assert "as fast as it goes" in done.stdout
    assert "as fast as it goes" in (out / "report.html").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_drop_stops_everything(tmp_path: Path, number: signal.Signals) -> None:
    """Here while the crowd is being prepared."""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        command("--pool=300", "--seconds=60", f"--out={tmp_path / 'out'}"),
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if "gathers" in line:
            process.send_signal(number)
            break
    rest = process.stdout.read()
    assert process.wait(60) == 130
    assert "interrupted" in rest
    assert left_behind(tmp_path) == []
    assert not list(tmp_path.glob("claimd-drop-*"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--pool=0",), "POOL=0"),
        (("--pool=-5",), "POOL=-5"),
        (("--pool=many",), "--pool"),
        (("--seconds=-1",), "SECONDS=-1"),
        (("--seconds=0.5",), "SECONDS=0.5"),
        (("--seconds=soon",), "--seconds"),
        (("--seconds=nan",), "SECONDS=nan"),
        (("--connections=100000000",), "hard limit"),
    ],
)
def test_a_drop_that_cannot_be_run_ends_with_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    """Before anything is started, and with exit code 1, as 2 means an invalid run."""
    done = drop(tmp_path, *arguments)
    assert done.returncode == 1
    assert sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())
