"""What real gateways have counted outlives them."""

import os
import signal
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.up.running import Up, eventually


def counted(up: Up, sample: str, **labels: str) -> float:
    """A sample of the console's metrics, 0 where it is not there."""
    url = f"http://127.0.0.1:{up.record()['console']['port']}/metrics"
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    found = [
        item.value for family in families for item in family.samples if (item.name, item.labels) == (sample, labels)
    ]
    return found[0] if found else 0.0


def test_counts_outlive_gateways(tmp_path: Path) -> None:
    """One that is killed, once it has saved them, and one that is stopped, to the last claim."""
    grants = {"sample": "claimd_claims_total", "round": "r", "outcome": "granted"}
    with Up(tmp_path / "data").until_ready() as up:
        up.create_round("r")
        assert up.claim("r", "ann")[0] == 201
        eventually(lambda: counted(up, **grants) == 1, "the count of it")
        os.kill(up.pid("gateway-0"), signal.SIGKILL)
        eventually(lambda: "gateway-0 is back" in up.output, "the gateway again")
        assert counted(up, **grants) == 1
        assert up.claim("r", "bob")[0] == 201
        # Before the next save, most likely: what it has not saved, it saves when it is stopped.
        assert up.stop() == 0
    with Up(tmp_path / "data").until_ready() as up:
        assert counted(up, **grants) == 2
        assert "counts failed" not in up.output
