"""What is saved of gateways that are gone: added up, forgotten, and never shown twice or as less than before."""

import asyncio
import logging

import orjson
import pytest

from claimd.domain.outcomes import Outcome
from claimd.domain.rounds import NOT_OVER
from claimd.domain.times import HOUR_MS
from claimd.metrics.counters import counters
from claimd.metrics.counts import Counts
from claimd.metrics.merging import Merging
from claimd.metrics.reporter import Reporter
from claimd.store.redis import keys
from claimd.store.redis.store import RedisStore
from claimd.store.saved_counts import MERGED_KEPT_MS, MergeOutcome
from tests.metrics.saving import Swallowing, check_swallowed, shown, shown_counters
from tests.patience import patient_store
from tests.rounds import definition
from tests.servers import Server


async def saved_runs(store: RedisStore, number: int) -> dict[str, int]:
    """So many gateways that have saved once; the sum of their counters."""
    total = Counts()
    for i in range(number):
        counts = Counts(failed_calls=1)
        counts.claims["r1", Outcome.GRANTED] += 1 + i
        counts.refusals[Outcome.RATE_LIMITED] += 2
        counts.latency_seconds.observe(0.001 * i)
        await Reporter(store.counts, f"host-{i}", counts, lambda: 5).report()
        total.merge(counts)
    return counters(total)


async def server_ms(store: RedisStore) -> int:
    return (await store.rounds.rounds_page(NOT_OVER, None, 1)).now_ms


def near(one: dict[str, int], other: dict[str, int]) -> bool:
    """Equal, but for the rounding of a sum of seconds."""
    return one.keys() == other.keys() and all(abs(one[name] - other[name]) <= 100 for name in one)


async def test_the_dead_are_merged_into_one(store: RedisStore, server: Server) -> None:
    """What they had counted stays; of their own nothing does, after a day not even their names."""
    total = await saved_runs(store, 50)
    assert near(await shown_counters(store.counts), total)
    merging = Merging(store.counts)
    await merging.merge_ended()
    assert (await shown(store.counts)).gateways == 50, "they have saved just now"
    for run in (await store.counts.load()).runs:
        assert await store.counts.merge(run.name, silent_ms=300_000) is MergeOutcome.ALIVE
    await merging.merge_ended(silent_ms=0)
    assert near(await shown_counters(store.counts), total)
    assert (await shown(store.counts)).gateways == 0
    with server.client() as client:
        assert set(client.keys()) == {keys.COUNTS_MERGED.encode(), keys.COUNTS_PAST.encode()}
        yesterday = await server_ms(store) - MERGED_KEPT_MS - 1
        await store.counts.forget_merged()
        assert client.hlen(keys.COUNTS_MERGED) == 50
        client.hset(keys.COUNTS_MERGED, mapping=dict.fromkeys(client.hkeys(keys.COUNTS_MERGED), f"{yesterday}"))
        await merging.merge_ended()
        await store.counts.forget_merged()
        assert client.keys() == [keys.COUNTS_PAST.encode()]
    assert near(await shown_counters(store.counts), total)


async def test_merging_can_be_ended(store: RedisStore) -> None:
    """Also where the store swallows it."""
    asked = asyncio.Event()
    await check_swallowed(Merging(Swallowing(store.counts, asked=asked)).run(), asked)


async def test_a_run_is_merged_once(store: RedisStore) -> None:
    """By as many consoles as there are."""
    total = await saved_runs(store, 20)
    other = patient_store(store_url(store))
    await asyncio.gather(*(Merging(each.counts).merge_ended(silent_ms=0) for each in (store, other, store, other)))
    await other.close()
    assert near(await shown_counters(store.counts), total)


def store_url(store: RedisStore) -> str:
    return f"unix://{store.pools.reads.connection_pool.connection_kwargs['path']}"


async def test_no_counter_goes_back_while_runs_are_merged(store: RedisStore) -> None:
    """Scrapes at the same time: each shows exactly the sum, never some of it twice or not at all."""
    total = await saved_runs(store, 60)
    scraper = patient_store(store_url(store))
    merging = asyncio.create_task(Merging(store.counts).merge_ended(silent_ms=0))
    seen = 0
    while not merging.done():
        assert near(await shown_counters(scraper.counts), total)
        seen += 1
    await merging
    assert seen > 1
    assert near(await shown_counters(scraper.counts), total)
    await scraper.close()


@pytest.mark.parametrize("reads_before", [1, 2])
async def test_a_run_that_is_merged_during_a_scrape_is_shown_once(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch, reads_before: int
) -> None:
    """Merged after the list of runs was read, or after their counters were."""
    total = await saved_runs(store, 2)
    listed = await store.counts.load()
    reading, reads = store.pools.reads, 0
    pipeline, hgetall = reading.pipeline, reading.hgetall

    async def merge() -> None:
        nonlocal reads
        reads += 1
        if reads == reads_before:
            for run in listed.runs:
                assert await store.counts.merge(run.name, silent_ms=0) is MergeOutcome.MERGED

    async def listing(key: str) -> object:
        found = await hgetall(key)
        await merge()
        return found

    def pipelining(transaction: bool) -> object:
        made = pipeline(transaction=transaction)
        execute = made.execute

        async def executing(**options: bool) -> object:
            found = await execute(**options)
            await merge()
            return found

        monkeypatch.setattr(made, "execute", executing)
        return made

    monkeypatch.setattr(reading, "hgetall", listing)
    monkeypatch.setattr(reading, "pipeline", pipelining)
    assert near(await shown_counters(store.counts), total)
    assert reads == 2


async def test_garbage_costs_itself(store: RedisStore, server: Server) -> None:
    """Whatever stands in the place of counts is left out and counted, before and after it was merged."""
    total = await saved_runs(store, 3)
    runs = [run.name for run in (await store.counts.load()).runs]
    with server.client() as client:
        client.hset(keys.counts_key(runs[0]), mapping={"refusals:x": "many", "failed_calls": "1"})
        client.hset(keys.COUNTS_RUNS, "not a hash", "1:0")
        client.set(keys.counts_key("not a hash"), "text")
        client.hset(keys.COUNTS_RUNS, b"\xff\xfe", "what is this")
        client.hset(keys.METRICS, "old", "garbage")
        client.hset(keys.COUNTS_PAST, "failed_calls", "none")
    found = await shown(store.counts)
    assert near(counters(found.counts), total)
    # A run with a bad value, one that is no hash, an old snapshot, the past.
    assert found.unreadable == 4
    for name in runs:
        await store.counts.merge(name, silent_ms=0)
    found = await shown(store.counts)
    assert near(counters(found.counts), total)
    assert found.unreadable == 2


async def test_one_that_cannot_be_merged_does_not_keep_the_others(
    store: RedisStore, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """The failure is logged, and the merge retried; all other runs are merged."""
    with server.client() as client:
        client.hset(keys.COUNTS_RUNS, "aaa", "1:0")
        client.set(keys.counts_key("aaa"), "text")
    total = await saved_runs(store, 3)
    with server.client() as client:
        for run in (await store.counts.load()).runs:
            client.hset(keys.COUNTS_RUNS, run.name, "1:0")

    async def once(_: float) -> None:
        raise asyncio.CancelledError

    caplog.set_level(logging.INFO)
    with pytest.raises(asyncio.CancelledError):
        await Merging(store.counts).run(once)
    assert near(await shown_counters(store.counts), total)
    assert [run.name for run in (await store.counts.load()).runs] == ["aaa"]
    assert "merging counts failed" in caplog.text


def old_snapshot(at_ms: int) -> bytes:
    """As version 0.1 saved it."""
    histograms = {"latency_seconds": [[0, 1, *[0] * 12], 0.001], "batch_claims": [[1, *[0] * 10], 1.0]}
    return orjson.dumps(
        {
            "at_ms": at_ms,
            "claims": [["old", "granted", 3], ["night", "sold_out", 1]],
            "refusals": {"not_found": 2},
            "histograms": histograms,
            "failed_calls": 1,
            "queue_depth": 9,
        }
    )


async def test_what_the_first_version_saved_is_folded_in_once(store: RedisStore, server: Server) -> None:
    """It is shown as it is while such a gateway may live, then as a part of the past; garbage among it stays."""
    now_ms = await server_ms(store)
    with server.client() as client:
        client.hset(keys.METRICS, mapping={"a-0": old_snapshot(now_ms - 2 * HOUR_MS), "b-0": old_snapshot(now_ms)})
        client.hset(keys.METRICS, "c-0", b"{")
        merging = Merging(store.counts)
        before = await shown_counters(store.counts)
        assert before["claims:old:granted"] == 6
        assert (await shown(store.counts)).gateways == 1
        await merging.merge_ended()
        assert client.hlen(keys.METRICS) == 3, "one of them lives"
        client.hset(keys.METRICS, "b-0", old_snapshot(now_ms - HOUR_MS))
        for _ in range(3):
            await merging.merge_ended()
            assert await shown_counters(store.counts) == before
        assert client.hkeys(keys.METRICS) == [b"c-0"]
    assert (await shown(store.counts)).unreadable == 1


@pytest.mark.parametrize("step", ["save", "merge", "forget_old"])
async def test_folding_may_be_interrupted(
    store: RedisStore, server: Server, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Half-way, before or after any step, a scrape shows the same, and it is finished the next time."""
    with server.client() as client:
        client.hset(keys.METRICS, "a-0", old_snapshot(await server_ms(store) - HOUR_MS))
    before = await shown_counters(store.counts)
    for after in (False, True):
        with monkeypatch.context() as patched:
            original = getattr(store.counts, step)

            async def interrupted(
                *args: object, after: bool = after, original: object = original, **kw: object
            ) -> None:
                if after:
                    await original(*args, **kw)  # type: ignore[operator]
                raise KeyboardInterrupt

            patched.setattr(store.counts, step, interrupted)
            with pytest.raises(KeyboardInterrupt):
                await Merging(store.counts).merge_ended()
        assert await shown_counters(store.counts) == before
    await Merging(store.counts).merge_ended()
    await Merging(store.counts).merge_ended()
    assert await shown_counters(store.counts) == before
    assert not (await store.counts.load()).old


async def test_rounds_that_are_over_become_one_sum(store: RedisStore) -> None:
    """A week after they have closed, or where there is no such round; no claim is lost, and the others stay."""
    now_ms = await server_ms(store)
    week_ms = 7 * 24 * HOUR_MS
    for round_id, closed_ms in (("long", week_ms + HOUR_MS), ("just", week_ms - HOUR_MS), ("on", -HOUR_MS)):
        window = {"opens_at_ms": now_ms - 2 * week_ms, "closes_at_ms": now_ms - closed_ms}
        await store.rounds.round_create(definition(round_id, **window), "")
    counts = Counts()
    for round_id in ("long", "just", "on", "never"):
        counts.claims[round_id, Outcome.GRANTED] += 10
        counts.claims[round_id, Outcome.SOLD_OUT] += 1
    reporter = Reporter(store.counts, "w", counts, lambda: 0)
    await reporter.report()
    merging = Merging(store.counts)
    await merging.settle_rounds()
    assert await shown_counters(store.counts) == counters(counts), "a run that lives is left as it is"
    await reporter.close()
    for _ in range(2):
        await merging.settle_rounds()
        found = await shown(store.counts)
        assert found.settled == {"granted": 20, "sold_out": 2}
        assert {round_id for round_id, _ in found.counts.claims} == {"just", "on"}
    await Reporter(store.counts, "w", counts, lambda: 0).close()
    await merging.settle_rounds()
    assert (await shown(store.counts)).settled == {"granted": 40, "sold_out": 4}
