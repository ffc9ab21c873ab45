"""The measurement of stalled connections, against the real claimd: small, and interrupted."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.up.running import eventually

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--connections=40", "--rate=100", "--carriers=4")


def started(tmp_path, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "loadtest.stalled", *SMALL, *arguments],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_small_measurement_end_to_end(tmp_path):
    """Every claim is granted while the others stall, and nothing is left behind."""
    process = started(tmp_path, "--seconds=1", "--rounds=1")
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said
    assert "they stall elsewhere" in said
    assert "p99 with them at the gateway:" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_measurement_stops_everything(tmp_path, number):
    """The gateway, the server and those who stall, in the middle of stalling."""
    process = started(tmp_path, "--seconds=1", "--rounds=50")
    try:
        me = psutil.Process(process.pid)
        eventually(
            lambda: any("loadtest.stalled.slow_clients" in each.cmdline() for each in me.children(True)),
            "those who stall",
        )
        all_of_them = me.children(True)
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 130, said
        assert "interrupted" in said
        assert psutil.wait_procs(all_of_them, timeout=10)[1] == []
        assert not list(tmp_path.iterdir())
    finally:
        process.kill()
