"""The bench measures every contender and audits every round; wrong answers end it with an error."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from claimd.domain.outcomes import Decision, Outcome
from claimd.http.decision_answers import granted, problem_of
from loadtest.bench import contenders, figures, full_batches
from loadtest.bench.measuring import Measured, Visit, Workload
from loadtest.bench.peers import answers, keys
from loadtest.bench.rounds import AuditError, PeerRounds
from tests.servers import Server

DECIDING = (contenders.LANE, contenders.CLAIMD_AIOHTTP, contenders.AIOHTTP, contenders.FASTAPI)
ROOT = Path(__file__).resolve().parent.parent.parent


def test_a_short_bench_writes_figures_of_every_contender(tmp_path: Path) -> None:
    """With tables and a picture beside them."""
    out = tmp_path / "bench.json"
    command = [sys.executable, "-m", "loadtest.bench", "--rounds=1", "--seconds=0.2", "--connections=8", f"--out={out}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(out.read_text())
    assert set(report["contenders"]) == {*DECIDING, contenders.CONSTANT, full_batches.NAME}
    for name, entry in report["contenders"].items():
        assert entry["rps"] > 0, name
        assert entry["p99_ms"] > 0, name
        assert (entry["gateway_us_per_claim"] > 0) is (name != full_batches.NAME), name
        assert entry["server_us_per_claim"] >= 0, name
        assert set(entry["workloads"]) == (set(Workload) if name in DECIDING else {Workload.WIN}), name
    # Now and then one of the calls counted is that by which claimd's gateway saves its counts.
    assert report["contenders"][contenders.AIOHTTP]["mean_batch"] == pytest.approx(1, rel=0.02)
    assert report["contenders"][full_batches.NAME]["mean_batch"] == pytest.approx(512, rel=0.1)
    assert report["ratios"] == figures.ratios(report["contenders"])
    assert report["command"].startswith("python -m loadtest.bench --rounds=1")
    assert out.with_suffix(".md").read_text().count("| claimd (lane) |") == 3
    assert out.with_suffix(".svg").read_text().lstrip().startswith("<?xml")


def test_the_ratios_compare_cpu_time_where_all_win() -> None:
    """claimd's gateway and server divided by the peer's, and by the constant's gateway and the script's server."""
    measured = Measured(1000.0, 0.0, 0.0, 1.0, 2.0, 40.0, 1000)
    cost = {
        contenders.LANE: (10.0, 5.0),
        contenders.AIOHTTP: (80.0, 20.0),
        contenders.CONSTANT: (4.0, 0.0),
        full_batches.NAME: (0.0, 2.0),
    }
    measurements = {
        (name, Workload.WIN): [
            replace(measured, gateway_us_per_claim=gateway + off, server_us_per_claim=server) for off in (0, -3, 9)
        ]
        for name, (gateway, server) in cost.items()
    }
    summary = figures.summary(measurements)
    assert figures.ratios(summary) == {"of_aiohttp_redis": 0.15, "of_floors": 2.5}
    assert summary[contenders.LANE]["workloads"][Workload.WIN]["spread"]["gateway_us_per_claim"] == [7.0, 19.0]


@pytest.mark.parametrize("outcome", [Outcome.GRANTED, Outcome.REPLAYED])
def test_peers_answer_claims_with_the_same_bytes_as_claimd(outcome: Outcome) -> None:
    """No contender is faster for writing less."""
    status, body = granted("night", Decision(outcome, 12_345, 1_587_384_000_000)) or (0, b"")
    assert answers.answer("night", outcome.encode(), b"12345:1587384000000") == (status, answers.JSON, body)


def test_peers_refuse_claims_with_the_same_bytes_as_claimd() -> None:
    """No contender is faster for writing less."""
    problem = problem_of(Decision(Outcome.SOLD_OUT))
    assert answers.answer("night", b"sold_out", b"") == (problem.status, answers.PROBLEM, problem.body())


@pytest.mark.parametrize(
    "stored", [{"a": "1:5"}, {"a": "1:5", "b": "1:5"}, {"a": "1:5", "b": "3:5"}, {"a": "1:5", "b": "2:5", "c": "3:5"}]
)
def test_a_peer_that_stores_other_claims_than_it_acknowledged_is_found(valkey: Server, stored: dict[str, str]) -> None:
    """Claims that are lost, doubled, skipped or invented."""
    with valkey.client() as client:
        rounds = PeerRounds(client)
        rounds.create("night", 10)
        for identity, claim in stored.items():
            client.hset(keys.claims_key("night"), identity, claim)
        with pytest.raises(AuditError):
            rounds.audit("night", 2)
        client.delete(keys.claims_key("night"))
        for identity, claim in {"a": "2:5", "b": "1:5"}.items():
            client.hset(keys.claims_key("night"), identity, claim)
        rounds.audit("night", 2)


@pytest.mark.parametrize("serials", [[1, 1], [1, 3], [2, 3]])
def test_acknowledged_serials_that_are_repeated_or_skipped_are_found(serials: list[int]) -> None:
    """By the clients' answers, whatever the server has."""
    visit: Any = object.__new__(Visit)
    visit._contender = SimpleNamespace(name="a faulty contender", rounds=SimpleNamespace(audit=lambda *_: None))
    visit._serials = dict(zip((b"a", b"b"), serials, strict=True))
    visit._round_id = "night"
    with pytest.raises(AuditError):
        visit.audit()
