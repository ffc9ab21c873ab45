"""Reporting ends when it is told to, whatever it is doing: a gateway that is stopped waits for it."""

import asyncio

from claimd.metrics.counts import Counts
from claimd.metrics.reporter import Reporter
from claimd.store.redis_store import RedisStore
from tests.servers import Server


async def test_reporting_can_be_ended_at_any_moment(valkey: Server) -> None:
    """Cancelled before its first step, between any two of them, in the middle of a call: it ends, and at once."""
    for turns in range(40):
        store = RedisStore.connect(valkey.url)
        reporting = asyncio.create_task(Reporter(store.counts, "test-0", Counts(), lambda: 0).run())
        for _ in range(turns):
            await asyncio.sleep(0)
        reporting.cancel()
        done, _ = await asyncio.wait({reporting}, timeout=10)
        assert done, f"after {turns} turns of the loop"
        assert reporting.cancelled()
        await store.close()
