"""Counts of gateways survive the end of their processes."""

import os
import signal
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.up.running import Up, eventually


def counted(up: Up, sample: str, **labels: str) -> float:
    """The value of a sample in the console's metrics, 0 where it is missing."""
    url = f"http://127.0.0.1:{up.process_file()['console']['port']}/metrics"
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    found = [
        item.value for family in families for item in family.samples if (item.name, item.labels) == (sample, labels)
    ]
    return found[0] if found else 0.0


def test_counts_survive_a_kill_and_a_stop(tmp_path: Path) -> None:
    """A killed gateway keeps what it has saved, a stopped one everything up to its last claim."""
    grants = {"sample": "claimd_claims_total", "round": "r", "outcome": "granted"}
    with Up(tmp_path / "data").until_ready() as up:
        up.create_round("r")
        assert up.claim("r", "ann")[0] == 201
        eventually(lambda: counted(up, **grants) == 1, "the saved count")
        os.kill(up.pid("gateway-0"), signal.SIGKILL)
        eventually(lambda: "gateway-0 is back" in up.output, "a new gateway")
        assert counted(up, **grants) == 1
        assert up.claim("r", "bob")[0] == 201
        # Most likely before the next save: a gateway saves the rest of its counts when it is stopped.
        assert up.stop() == 0
    with Up(tmp_path / "data").until_ready() as up:
        assert counted(up, **grants) == 2
        assert "counts failed" not in up.output
