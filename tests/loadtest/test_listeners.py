"""`python -m loadtest.listeners` against the real claimd: a small measurement, and an interrupted one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.up.running import eventually

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--listeners=60", "--rate=200", "--connections=10", "--seconds=1")


def started(tmp_path: Path, *arguments: str) -> "subprocess.Popen[str]":
    """A small measurement that is running."""
    return subprocess.Popen(
        [sys.executable, "-m", "loadtest.listeners", *SMALL, *arguments],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_small_measurement_end_to_end(tmp_path: Path) -> None:
    """Every claim is granted beside the listeners, who get events, and no file is left behind."""
    process = started(tmp_path, "--rounds=1")
    printed, _ = process.communicate(timeout=100)
    assert process.returncode == 0, printed
    assert "p99 with listeners:" in printed
    assert "had 0.0 events" not in printed
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_measurement_stops_everything(tmp_path: Path, number: signal.Signals) -> None:
    """claimd and the listeners, in the middle of their streams."""
    process = started(tmp_path, "--rounds=50")
    try:
        me = psutil.Process(process.pid)
        eventually(
            lambda: any("loadtest.listeners.audience" in each.cmdline() for each in me.children(True)),
            "the listeners to run",
        )
        all_of_them = me.children(True)
        process.send_signal(number)
        printed, _ = process.communicate(timeout=60)
        assert process.returncode == 130, printed
        assert "interrupted" in printed
        assert psutil.wait_procs(all_of_them, timeout=10)[1] == []
        assert not list(tmp_path.iterdir())
    finally:
        process.kill()
