"""Metrics: all families, merged over gateways, never going down, and no person in them."""

from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from prometheus_client.parser import text_string_to_metric_families

from claimd.console import metrics as console_metrics
from claimd.domain.rounds import Status
from claimd.domain.times import HOUR_MS
from claimd.engine.batcher import BatchLimits
from claimd.gateway.lane.connection import Lane
from claimd.http.aiohttp_door import AiohttpDoor
from claimd.store.redis import keys
from tests.http import serving
from tests.http.answers import problem
from tests.http.serving import Served, identity_of, open_round, pass_for, with_pass
from tests.rounds import now_ms
from tests.servers import Server

CLAIMS = "/v1/rounds/night/claims"
FAMILIES = {
    "claimd_server_up": "gauge",
    "claimd_stock_packs": "gauge",
    "claimd_stock_total": "gauge",
    "claimd_stock_issued": "gauge",
    "claimd_stock_remaining": "gauge",
    "claimd_round_status": "gauge",
    "claimd_round_sold_out_timestamp_seconds": "gauge",
    "claimd_claims": "counter",
    "claimd_claims_settled": "counter",
    "claimd_refusals": "counter",
    "claimd_unauthenticated": "counter",
    "claimd_server_calls_failed": "counter",
    "claimd_claim_latency_seconds": "histogram",
    "claimd_server_round_trip_seconds": "histogram",
    "claimd_batch_claims": "histogram",
    "claimd_queue_depth": "gauge",
    "claimd_gateways": "gauge",
    "claimd_counts_unreadable": "gauge",
}

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def _text(console: Served) -> str:
    answer = await console.http.get("/metrics")
    assert answer.status == 200
    assert answer.content_type == "text/plain"
    return await answer.text()


async def _samples(console: Served) -> Samples:
    families = text_string_to_metric_families(await _text(console))
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def _value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0.0)


async def _claims(gateway: Served, *subs: str) -> None:
    for sub in subs:
        await gateway.http.post(CLAIMS, headers=with_pass(sub))
    assert gateway.reporter is not None
    await gateway.reporter.report()


async def test_every_family_is_there(console: Served, gateway: Served) -> None:
    """It parses, with each family of its type, from the very first scrape on; no token is asked for."""
    for _ in range(2):
        families = {f.name: f for f in text_string_to_metric_families(await _text(console))}
        assert {name: families[name].type for name in FAMILIES} == FAMILIES
        assert all(family.documentation for family in families.values())
        await open_round(gateway.store)
        await _claims(gateway, "ada")


async def test_the_metrics_of_a_round_are_its_state(console: Served, gateway: Served) -> None:
    """Stock, exactly one status, and the time of the sell-out once there is one."""
    await open_round(gateway.store, total=2)
    await open_round(gateway.store, "later", opens_at_ms=now_ms() + HOUR_MS // 2)
    await _claims(gateway, "ada")
    samples = await _samples(console)
    stock = [
        _value(samples, f"claimd_stock_{name}", round="night") for name in ("packs", "total", "issued", "remaining")
    ]
    assert stock == [2, 2, 1, 1]
    for round_id, expected in (("night", Status.OPEN), ("later", Status.SCHEDULED)):
        told = {status: _value(samples, "claimd_round_status", round=round_id, status=status) for status in Status}
        assert told == {status: float(status is expected) for status in Status}
    assert ("claimd_round_sold_out_timestamp_seconds", frozenset({("round", "night")})) not in samples
    await _claims(gateway, "bob", "eve")
    samples = await _samples(console)
    assert _value(samples, "claimd_round_status", round="night", status="sold_out") == 1
    sold_out_at = _value(samples, "claimd_round_sold_out_timestamp_seconds", round="night")
    last = max([claim.claimed_at_ms async for _, claim in gateway.store.log_reader.claims("night")])
    assert sold_out_at == last / 1000


async def test_claims_are_counted_by_outcome(console: Served, gateway: Served) -> None:
    """Grants, replays and refusals of a batch, and refusals before it; histograms have as many."""
    await open_round(gateway.store, total=2)
    await gateway.http.post(CLAIMS, headers={"Authorization": "Pass no"})
    await problem(await gateway.http.get("/nowhere"), 404, "not_found")
    await _claims(gateway, "ada", "bob", "eve", "ada")
    samples = await _samples(console)
    counted = {
        outcome: _value(samples, "claimd_claims_total", round="night", outcome=outcome)
        for outcome in ("granted", "replayed", "sold_out", "paused")
    }
    assert counted == {"granted": 2, "replayed": 1, "sold_out": 1, "paused": 0}
    assert _value(samples, "claimd_refusals_total", code="unauthenticated") == 1
    assert _value(samples, "claimd_refusals_total", code="not_found") == 1
    assert _value(samples, "claimd_claim_latency_seconds_count") == 4
    assert _value(samples, "claimd_batch_claims_sum") == 4
    calls = _value(samples, "claimd_batch_claims_count")
    assert 1 <= calls <= 4
    assert _value(samples, "claimd_server_round_trip_seconds_count") == calls
    assert _value(samples, "claimd_queue_depth") == 0


async def test_refusals_for_overload_are_counted(console: Served, valkey: Server) -> None:
    """One for each claim that found the queue full."""
    async with serving.gateway(valkey.url, limits=BatchLimits(max_waiting=0)) as full:
        await open_round(full.store)
        await _claims(full, "ada", "bob")
    assert _value(await _samples(console), "claimd_claims_total", round="night", outcome="overloaded") == 2


async def test_gateways_are_merged(console: Served, valkey: Server) -> None:
    """Two gateways, one sum."""
    async with AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(serving.gateway(valkey.url, worker=f"host-{n}")) for n in range(2)]
        await open_round(one.store)
        await _claims(one, "ada", "bob")
        await _claims(two, "eve", "ada", "ada")
        samples = await _samples(console)
    assert _value(samples, "claimd_claims_total", round="night", outcome="granted") == 3
    assert _value(samples, "claimd_claims_total", round="night", outcome="replayed") == 2
    assert _value(samples, "claimd_claim_latency_seconds_count") == 5
    assert _value(samples, "claimd_gateways") == 2


@pytest.mark.parametrize("door", [Lane, AiohttpDoor])
async def test_a_rate_limit_does_not_end_a_gateways_metrics(console: Served, valkey: Server, door: type) -> None:
    """The refusal is counted, and so is all that comes after it."""
    async with serving.gateway(valkey.url, door=door, requests_per_identity=1) as gateway:
        await open_round(gateway.store)
        await _claims(gateway, "ada", "ada")
        await _claims(gateway, "bob")
        samples = await _samples(console)
    assert _value(samples, "claimd_refusals_total", code="rate_limited") == 1
    assert _value(samples, "claimd_claims_total", round="night", outcome="granted") == 2


@pytest.mark.parametrize("what", ["counters", "value", "kind", "old", "past", "list"])
async def test_an_unreadable_round_leaves_the_other_metrics_whole(
    console: Served, gateway: Served, valkey: Server, what: str
) -> None:
    """200, the rest complete, and a metric that counts what is missing."""
    await open_round(gateway.store)
    await _claims(gateway, "ada")
    with valkey.client() as client:
        match what:
            case "counters":
                client.hset(keys.COUNTS_RUNS, "another", f"{now_ms()}:0")
                client.hset(keys.counts_key("another"), "claims:night:granted", "\xff")
            case "value":
                client.hset(keys.COUNTS_RUNS, "another", "garbage")
            case "kind":
                client.hset(keys.COUNTS_RUNS, "another", f"{now_ms()}:0")
                client.set(keys.counts_key("another"), "text")
            case "old":
                client.hset(keys.METRICS, "host-0", '{"at_ms":')
            case "past":
                client.hset(keys.COUNTS_PAST, "failed_calls", "")
            case "list":
                client.delete(keys.COUNTS_RUNS)
                client.set(keys.COUNTS_RUNS, "text")
    samples = await _samples(console)
    assert _value(samples, "claimd_server_up") == 1
    assert _value(samples, "claimd_stock_issued", round="night") == 1
    assert _value(samples, "claimd_counts_unreadable") == (0 if what == "value" else 1)
    assert _value(samples, "claimd_claims_total", round="night", outcome="granted") == (0 if what == "list" else 1)


@pytest.fixture
def own_server() -> Iterator[Server]:
    """For tests that break it."""
    server = Server.started("valkey")
    yield server
    server.end()


@pytest.mark.parametrize("away", ["dead", "stalled"])
async def test_metrics_answer_while_the_server_is_away(
    own_server: Server, away: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200, with one gauge for the outage and no figure from before it. All are back with the server."""
    async with serving.console(own_server.url) as console, serving.gateway(own_server.url) as gateway:
        await open_round(gateway.store)
        await _claims(gateway, "ada")
        before = await _samples(console)
        if away == "dead":
            own_server.kill()
        else:
            own_server.freeze()
            monkeypatch.setattr(console_metrics, "_READ_SECONDS", 0.2)
        assert await _samples(console) == {("claimd_server_up", frozenset()): 0.0}
        monkeypatch.undo()
        if away == "dead":
            own_server.start()
        else:
            own_server.thaw()
        assert await _samples(console) == before


@pytest.mark.parametrize("killed", [False, True])
async def test_counters_survive_a_restart(console: Served, valkey: Server, killed: bool) -> None:
    """A gateway that comes back counts on: no counter ever goes down, not even in its first report.

    One that was stopped is no gateway any more; one that was killed looks like one for 15 seconds.
    """
    before: Samples = {}
    for life in range(3):
        async with serving.gateway(valkey.url, worker="host-0") as gateway:
            if not life:
                await open_round(gateway.store)
            await _claims(gateway)
            await _claims(gateway, f"person {life}", "ada")
            samples = await _samples(console)
            if not killed:
                assert gateway.reporter is not None
                await gateway.reporter.close()
        fallen = {
            key: (value, samples.get(key))
            for key, value in before.items()
            if key[0].endswith(("_total", "_count", "_sum", "_bucket")) and samples.get(key, 0.0) < value
        }
        assert not fallen
        before = samples
    assert _value(before, "claimd_claims_total", round="night", outcome="granted") == 4
    assert _value(before, "claimd_claims_total", round="night", outcome="replayed") == 2
    assert _value(before, "claimd_gateways") == (3 if killed else 1)


@pytest.mark.parametrize("sub", ["xenia"])
async def test_metrics_name_no_person(console: Served, gateway: Served, sub: str) -> None:
    """Neither identities nor their digests nor passes are labels; only rounds, outcomes, codes, statuses and bounds."""
    await open_round(gateway.store)
    await _claims(gateway, sub)
    await gateway.http.get(f"/v1/rounds/{sub}")
    text = await _text(console)
    labels = {
        name for family in text_string_to_metric_families(text) for sample in family.samples for name in sample.labels
    }
    assert labels <= {"round", "outcome", "code", "reason", "status", "le"}
    for secret in (sub, identity_of(sub).hex(), pass_for(sub)[:40]):
        assert secret not in text


async def test_rounds_that_were_over_long_ago_are_not_scraped(console: Served, gateway: Served) -> None:
    """Nor their claims: a scrape must not grow with every round that ever was. `?round=` still shows one of them."""
    for round_id, closed_ms_ago in (("long-ago", 25 * HOUR_MS), ("lately", HOUR_MS)):
        await open_round(gateway.store, round_id)
        await gateway.http.post(f"/v1/rounds/{round_id}/claims", headers=with_pass("ada", round_id))
        window = {"opens_at_ms": 1000, "closes_at_ms": now_ms() - closed_ms_ago}
        await gateway.store.rounds.round_edit(round_id, window, "as if it were over")
    await open_round(gateway.store)
    await _claims(gateway, "ada")
    samples = await _samples(console)
    # The index keeps the greatest closing time: what counts is when the round really closed.
    for family in ("claimd_stock_remaining", "claimd_claims_total"):
        assert {dict(labels)["round"] for name, labels in samples if name == family} == {"night", "lately"}
    assert samples["claimd_rounds_left_out", frozenset()] == 0
    answer = await console.http.get("/metrics?round=long-ago")
    assert answer.status == 200
    text = await answer.text()
    assert 'claimd_claims_total{outcome="granted",round="long-ago"} 1.0' in text
    assert "night" not in text


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [("round=nowhere", 404, "round_not_found"), ("round=A", 404, "round_not_found"), ("rounds=a", 400, "bad_request")],
)
async def test_metrics_of_no_round(console: Served, query: str, status: int, code: str) -> None:
    """A problem, as everywhere."""
    await problem(await console.http.get(f"/metrics?{query}"), status, code)
