"""A gateway saves exactly its counts, few of them at a time, and logs every failure."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from claimd.domain.outcomes import Outcome
from claimd.metrics import reporter as reporting
from claimd.metrics.counters import counters
from claimd.metrics.counts import Counts
from claimd.metrics.reporter import QUIET_REPORTS, Reporter
from claimd.metrics.tally import FRESH_MS
from claimd.store.errors import StoreUnavailable
from claimd.store.redis import keys
from claimd.store.redis.store import RedisStore
from claimd.store.saved_counts import MERGED_KEPT_MS, MergeOutcome
from tests.fuzzing import tried
from tests.metrics.saving import FaultyCounts, Swallowing, check_swallowed, shown, shown_counters
from tests.patience import patient_store
from tests.servers import Server

_DAY_REPORTS = 24 * 3600


async def test_reporting_can_be_ended_at_any_moment(valkey: Server) -> None:
    """Cancelled before its first step, between any two of them, in the middle of a call: it ends, and at once."""
    for turns in range(40):
        store = patient_store(valkey.url)
        reporting = asyncio.create_task(Reporter(store.counts, "test-0", Counts(), lambda: 0).run())
        for _ in range(turns):
            await asyncio.sleep(0)
        reporting.cancel()
        done, _ = await asyncio.wait({reporting}, timeout=10)
        assert done, f"after {turns} event-loop iterations"
        assert reporting.cancelled()
        await store.close()


async def test_reporting_ends_where_the_store_swallows_its_end(valkey: Server) -> None:
    """As the Redis library does in the middle of some calls."""
    store = patient_store(valkey.url)
    asked = asyncio.Event()
    await check_swallowed(Reporter(Swallowing(store.counts, asked=asked), "w", Counts(), lambda: 0).run(), asked)
    await store.close()


def many_counts(rounds: int) -> Counts:
    counts = Counts()
    for number in range(rounds):
        for outcome in (Outcome.GRANTED, Outcome.REPLAYED, Outcome.SOLD_OUT):
            counts.claims[f"round-{number}", outcome] += 1000 + number
    return counts


async def test_everything_is_saved_and_everything_of_it_is_shown(store: RedisStore) -> None:
    """More counters than one call takes, enumerations and texts alike."""
    counts = many_counts(700)
    for outcome in Outcome:
        counts.refusals[outcome] += 1
    counts.unauthenticated["expired"] += 3
    counts.latency_seconds.observe(0.004)
    counts.failed_calls = 2
    await Reporter(store.counts, "w", counts, lambda: 17).report()
    assert await shown_counters(store.counts) == counters(counts)
    assert (await shown(store.counts)).waiting == 17
    assert (await shown(store.counts)).gateways == 1


def aof_bytes(server: Server) -> int:
    return sum(file.stat().st_size for file in (server.folder / "appendonlydir").iterdir())


async def test_an_idle_gateway_writes_less_than_10_mb_a_day(server: Server) -> None:
    """However many rounds it has counted; every fifth report is a heartbeat."""
    store = patient_store(server.url)
    reporter = Reporter(store.counts, "a-machine-with-a-long-name.example-8080-0", many_counts(1000), lambda: 0)
    await reporter.report()
    before = aof_bytes(server)
    reports = 20 * QUIET_REPORTS
    for _ in range(reports):
        await reporter.report()
    written = aof_bytes(server) - before
    await store.close()
    # 10 MB is what it may be; what it is, 2 MB, must not grow fivefold unseen.
    assert 0 < written * _DAY_REPORTS / reports < 4_000_000
    assert QUIET_REPORTS * 1000 * 3 <= FRESH_MS, "it must not seem dead between two of them"


async def test_only_what_changed_is_written(store: RedisStore, server: Server) -> None:
    """Of 3,000 counters, the one that grew."""
    counts = many_counts(1000)
    reporter = Reporter(store.counts, "w", counts, lambda: 0)
    await reporter.report()
    before = aof_bytes(server)
    counts.claims["round-5", Outcome.GRANTED] += 1
    await reporter.report()
    assert 0 < aof_bytes(server) - before < 500
    assert await shown_counters(store.counts) == counters(counts)


async def test_gateways_of_one_name_do_not_overwrite_each_other(store: RedisStore) -> None:
    """Containers may have equal host names, ports and numbers."""
    both = [Reporter(store.counts, "host-8080-0", many_counts(1), lambda: 2) for _ in range(2)]
    for reporter in (*both, *both):
        await reporter.report()
    found = await shown(store.counts)
    assert found.counts.claims["round-0", "granted"] == 2000
    assert (found.gateways, found.waiting) == (2, 4)


async def test_a_gateway_that_stops_is_a_part_of_the_past_at_once(store: RedisStore, server: Server) -> None:
    """Its last counts are saved; of its own nothing stays but a name; and it is no gateway any more."""
    counts = many_counts(400)
    reporter = Reporter(store.counts, "w", counts, lambda: 0)
    await reporter.report()
    counts.failed_calls += 5
    await reporter.close()
    found = await shown(store.counts)
    assert counters(found.counts) == counters(counts)
    assert found.gateways == 0
    with server.client() as client:
        assert set(client.keys()) == {keys.COUNTS_MERGED.encode(), keys.COUNTS_PAST.encode()}


async def test_a_server_that_lost_its_data_gets_everything_again(store: RedisStore, server: Server) -> None:
    """The server is emptied or set back to an older state: the next report that writes restores the counts."""
    counts = many_counts(3)
    reporter = Reporter(store.counts, "w", counts, lambda: 0)
    await reporter.report()
    names = (keys.COUNTS_RUNS, keys.counts_key(reporter.run_name))
    with server.client() as client:
        older = [client.dump(name) for name in names]
        counts.claims["round-1", Outcome.GRANTED] += 5
        await reporter.report()
        for name, value in zip(names, older, strict=True):
            client.restore(name, 0, value, replace=True)
        counts.failed_calls += 1
        await reporter.report()
        assert await shown_counters(store.counts) == counters(counts)
        client.flushall()
        counts.failed_calls += 1
        await reporter.report()
    assert await shown_counters(store.counts) == counters(counts)


ACTIONS = st.lists(st.sampled_from(("count", "report", "lost", "reply", "merge")), max_size=12)


@pytest.fixture(scope="module")
def emptied_server() -> Iterator[Server]:
    server = Server.started("valkey")
    yield server
    server.end()


@given(ACTIONS)
@tried(60)
@example(["count", "report", "count", "reply", "count", "merge", "count"])
@example(["count", "report", "count", "lost", "count", "merge", "count"])
@example(["lost", "count"])
@example(["count", "report", "reply", "count", "merge"])
@example(["count", "reply", "merge", "count", "reply", "merge"])
@example(["count", "report", "count", "reply", "merge", "lost", "count"])
def test_nothing_is_counted_twice_or_not_at_all(emptied_server: Server, actions: list[str]) -> None:
    """Whatever is lost, and however often a live run is merged: no counter goes back, and the sum is exact."""
    asyncio.run(_exact(emptied_server, actions))


async def _exact(server: Server, actions: list[str]) -> None:
    with server.client() as client:
        client.flushall()
    store = patient_store(server.url)
    counts, faulty, before = Counts(), FaultyCounts(store.counts), 0
    reporter = Reporter(faulty, "w", counts, lambda: 0)
    try:
        for action in (*actions, "report"):
            await _act(action, reporter, faulty, counts)
            now = (await shown(store.counts)).counts.claims["r1", "granted"]
            assert before <= now <= counts.claims["r1", "granted"]
            before = now
        assert await shown_counters(store.counts) == counters(counts)
    finally:
        await store.close()


async def _act(action: str, reporter: Reporter, faulty: FaultyCounts, counts: Counts) -> None:
    if action == "count":
        counts.claims["r1", "granted"] += 1
        counts.refusals["rate_limited"] += 10
    elif action == "merge":
        await faulty.merge(reporter.run_name, 0)
    else:
        faulty.fault = action
        with suppress(StoreUnavailable):
            # A heartbeat, where nothing else has changed.
            reporter._quiet = QUIET_REPORTS
            await reporter.report()


async def test_a_gateway_suspended_for_days_is_not_counted_twice(store: RedisStore, server: Server) -> None:
    """It was merged, and its name forgotten; what it counted before is in the past, and it goes on from there."""
    counts = many_counts(2)
    reporter = Reporter(store.counts, "w", counts, lambda: 0)
    await reporter.report()
    assert reporter._run.seen_ms is not None
    reporter._run.seen_ms -= MERGED_KEPT_MS + 1
    with server.client() as client:
        client.hset(keys.COUNTS_RUNS, reporter.run_name, f"{reporter._run.seen_ms}:0")
    assert await store.counts.merge(reporter.run_name, 300_000) is MergeOutcome.MERGED
    await store.counts.forget_merged()
    with server.client() as client:
        assert not client.exists(keys.COUNTS_MERGED)
    assert await store.counts.merge(reporter.run_name, 300_000) is MergeOutcome.UNKNOWN
    counts.failed_calls += 1
    await reporter.report()
    assert await shown_counters(store.counts) == counters(counts)


async def test_a_run_ends_after_a_day(store: RedisStore, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it holds only what is counted from then on: counters of old rounds are not carried along."""
    monkeypatch.setattr(reporting, "_RUN_REPORTS", 3)
    counts = many_counts(100)
    reporter = Reporter(store.counts, "w", counts, lambda: 0)
    await reporter.report()
    first = reporter.run_name
    await reporter.report()
    await reporter.report()
    assert reporter.run_name != first
    counts.claims["round-new", "granted"] += 1
    await reporter.report()
    with server.client() as client:
        assert client.hgetall(keys.counts_key(reporter.run_name)) == {b"claims:round-new:granted": b"1"}
    assert await shown_counters(store.counts) == counters(counts)
    assert (await shown(store.counts)).gateways == 1


async def test_a_reporter_does_not_fail_silently(valkey: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Nor a bug of its own: logged once with its traceback, and again at the next success, which saves everything."""
    caplog.set_level(logging.INFO)
    store, counts, turns = patient_store(valkey.url), Counts(failed_calls=7), 0

    def depth() -> int:
        if turns < 4:
            raise TypeError("a bug")
        return 3

    async def sleep(_: float) -> None:
        nonlocal turns
        turns += 1
        if turns > 6:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Reporter(store.counts, "w", counts, depth).run(sleep)
    said = [(record.levelname, record.getMessage(), bool(record.exc_info)) for record in caplog.records]
    assert said == [
        ("WARNING", "saving counts failed: TypeError: a bug", True),
        ("INFO", "saving counts works again, after 4 failures", False),
    ]
    assert await shown_counters(store.counts) == counters(counts)
    await store.close()


async def test_a_server_that_is_away_is_a_line_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """Also for the last report of a gateway that stops."""
    store = RedisStore.connect("unix:///nowhere")
    reporter = Reporter(store.counts, "w", Counts(), lambda: 0)
    await reporter.try_to(reporter.close)
    await store.close()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith("saving counts failed: Store")
    assert not record.exc_info
