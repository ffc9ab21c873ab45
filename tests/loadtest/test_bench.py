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
from loadtest.bench.measuring import ClaimTurn, Measured, Workload
from loadtest.bench.peer_programs import AIOHTTP, AIOHTTP_VISIT, CONSTANT, FASTAPI, NGINX
from loadtest.bench.peers import answers, keys
from loadtest.bench.rounds import AuditError, PeerRounds
from loadtest.bench.visiting import Step, VisitTurn
from loadtest.client.closed_loop import ClosedLoop
from tests.servers import Server

DECIDING = (contenders.LANE, contenders.LANE_EQUAL, contenders.CLAIMD_AIOHTTP, AIOHTTP.name, FASTAPI.name)
SHORT = ("--rounds=1", "--seconds=0.2", "--connections=8", "--people=600")
ROOT = Path(__file__).resolve().parent.parent.parent


def run_bench(out: Path, *options: str) -> dict[str, Any]:
    """The report of a short bench, which must succeed."""
    command = [sys.executable, "-m", "loadtest.bench", *SHORT, *options, f"--out={out}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(out.read_text())
    return report


def test_a_short_bench_writes_figures_of_every_contender(tmp_path: Path) -> None:
    """With tables and a picture beside them. The peers that the machine may lack have tests of their own."""
    out = tmp_path / "bench.json"
    report = run_bench(out, "--peers=aiohttp,fastapi")
    assert set(report["contenders"]) == {*DECIDING, CONSTANT.name, full_batches.NAME}
    for name, entry in report["contenders"].items():
        assert entry["rps"] > 0, name
        assert entry["p99_ms"] > 0, name
        assert (entry["gateway_us_per_claim"] > 0) is (name != full_batches.NAME), name
        assert entry["server_us_per_claim"] >= 0, name
        assert set(entry["workloads"]) == (set(Workload) if name in DECIDING else {Workload.WIN}), name
    # Now and then one of the calls counted is that by which claimd's gateway saves its counts.
    assert report["contenders"][AIOHTTP.name]["mean_batch"] == pytest.approx(1, rel=0.02)
    assert report["contenders"][full_batches.NAME]["mean_batch"] == pytest.approx(512, rel=0.1)
    assert report["ratios"] == figures.ratios(report["contenders"])
    assert set(report["ratios"]) == {"of_aiohttp_redis", "of_floors", "varied_heads_us"}
    assert report["command"].startswith("python -m loadtest.bench --rounds=1")
    assert report["heads"] == "varied"
    assert report["left_out"] == {}
    assert out.with_suffix(".md").read_text().count("| claimd (lane) |") == 3
    assert out.with_suffix(".svg").read_text().lstrip().startswith("<?xml")
    visit = report["visit"]["contenders"]
    assert set(visit) == {contenders.CLAIMD, AIOHTTP_VISIT.name}
    for name, entry in visit.items():
        assert set(entry["requests"]) == set(Step)
        assert all(figures["answers"] > 0 and figures["p99_ms"] > 0 for figures in entry["requests"].values()), name
        gateway = sum(figures["gateway_us"] for figures in entry["requests"].values())
        assert gateway > 0
        assert entry["gateway_us"] == pytest.approx(gateway, abs=0.01)
        assert entry["total_us"] == pytest.approx(gateway + entry["server_us"], abs=0.01)
    assert report["visit"]["ratios"] == figures.visit_ratios(visit)


def test_a_part_of_the_bench_can_be_run_alone(tmp_path: Path) -> None:
    """The visit without claims and without peers; and nothing is drawn of what was not measured."""
    out = tmp_path / "bench.json"
    report = run_bench(out, "--only=visit", "--peers=none", "--heads=equal")
    assert (report["contenders"], report["ratios"], report["heads"]) == ({}, {}, "equal")
    assert set(report["visit"]["contenders"]) == {contenders.CLAIMD}
    assert not out.with_suffix(".svg").exists()
    assert out.with_suffix(".md").read_text().startswith("**A visit**")


def test_a_peer_that_does_not_exist_is_an_error() -> None:
    """A misspelled name must not measure claimd alone."""
    command = [sys.executable, "-m", "loadtest.bench", "--peers=go,ngnix"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "there is no ngnix" in done.stderr


def test_the_ratios_compare_cpu_time_where_all_win() -> None:
    """claimd's gateway and server divided by the peer's, and by the constant's gateway and the script's server."""
    measured = Measured(1000.0, 0.0, 0.0, 1.0, 2.0, 40.0, 1000)
    cost = {
        contenders.LANE: (10.0, 5.0),
        contenders.LANE_EQUAL: (9.5, 4.5),
        AIOHTTP.name: (80.0, 20.0),
        NGINX.name: (15.0, 15.0),
        CONSTANT.name: (4.0, 0.0),
        full_batches.NAME: (0.0, 2.0),
    }
    measurements = {
        (name, Workload.WIN): [
            replace(measured, gateway_us_per_claim=gateway + off, server_us_per_claim=server) for off in (0, -3, 9)
        ]
        for name, (gateway, server) in cost.items()
    }
    summary = figures.summary(measurements)
    assert figures.ratios(summary) == {
        "of_aiohttp_redis": 0.15,
        "of_nginx_lua": 0.5,
        "of_floors": 2.5,
        "varied_heads_us": 1.0,
    }
    assert figures.ratios({contenders.LANE: summary[contenders.LANE]}) == {}
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
    contender = SimpleNamespace(name="a faulty contender", rounds=SimpleNamespace(audit=lambda *_: None))
    claiming: Any = object.__new__(ClaimTurn)
    claiming._contender, claiming._round_id = contender, "night"
    claiming._serials = dict(enumerate(serials))
    visiting: Any = object.__new__(VisitTurn)
    visiting._contender, visiting._round_id = contender, "night"
    visiting._claims = {person: {"serial": serial} for person, serial in enumerate(serials)}
    for turn in (claiming, visiting):
        with pytest.raises(AuditError):
            turn.audit()


CLAIM = {"round": "night", "id": "x-1", "serial": 1, "claimed_at": "2026-04-20T12:00:00.214Z"}


@pytest.mark.parametrize(
    ("step", "status", "document"),
    [
        ("round", b"200", {"id": "other", "status": "open"}),
        ("round", b"200", {"id": "night", "status": "paused"}),
        ("round", b"503", {"code": "unavailable"}),
        ("pass", b"401", {"code": "unauthenticated", "pass": "a"}),
        ("pass", b"201", {"expires_at": "2026-04-20T12:00:00.214Z"}),
        ("claim", b"200", {"claim": CLAIM, "replayed": True}),
        ("claim", b"409", {"code": "sold_out"}),
        ("look_up", b"200", {"claim": CLAIM | {"serial": 2}}),
        ("look_up", b"404", {"code": "not_claimed"}),
    ],
)
def test_a_wrong_answer_ends_the_visit_with_an_error(step: str, status: bytes, document: dict[str, Any]) -> None:
    """Each request of a visit has one right answer; a contender that answers another is not measured."""
    visit: Any = object.__new__(VisitTurn)
    visit._contender, visit._round_id = SimpleNamespace(name="a faulty contender"), "night"
    visit._passes, visit._claims = {}, {7: CLAIM}
    right: dict[str, tuple[bytes, dict[str, Any]]] = {
        "round": (b"200", {"id": "night", "status": "open"}),
        "pass": (b"201", {"pass": "a"}),
        "claim": (b"201", {"claim": CLAIM, "replayed": False}),
        "look_up": (b"200", {"claim": CLAIM}),
    }
    check = getattr(visit, f"_check_{step}")
    visit._check(_answered(*right[step]), [7], check)
    with pytest.raises(AuditError, match="a wrong answer"):
        visit._check(_answered(status, document), [7], check)


def test_a_visit_without_people_is_an_error() -> None:
    """So that no figure of nothing is written."""
    visit: Any = object.__new__(VisitTurn)
    visit._contender = SimpleNamespace(name="a faulty contender")
    with pytest.raises(AuditError, match="too few people"):
        visit._check(ClosedLoop(1, 0), [], lambda *_: True)


def _answered(status: bytes, document: dict[str, Any]) -> ClosedLoop:
    """A load with one answer."""
    load = ClosedLoop(1, 0)
    load.asked, load.statuses, load.bodies = [0], [status], [json.dumps(document).encode()]
    return load
