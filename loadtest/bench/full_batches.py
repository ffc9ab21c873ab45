"""Floor: the batch script alone, always 512 claims at a time, as durable as the contenders: the server's least cost.

The one module of the harness that uses claimd's store instead of its HTTP.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress

from claimd.domain.outcomes import Outcome
from claimd.identity.keys import identity_digest
from claimd.store.ports import MAX_BATCH
from claimd.store.redis.store import RedisStore
from loadtest.bench.contenders import Contenders
from loadtest.bench.measuring import Measured
from loadtest.bench.readings import Reading
from loadtest.bench.rounds import AuditError, Rounds

NAME = "floor: the script, 512 at a time"

_TOTAL = 2**31


def measure(contenders: Contenders, rounds: Rounds, turn: int, seconds: float) -> Measured:
    """Grant claims over one connection for `seconds`, in a round of its own. Raises AuditError."""
    round_id = f"bench-{turn}-full-batches"
    rounds.create(round_id, _TOTAL)
    measured = asyncio.run(_grant(contenders, round_id, seconds))
    rounds.audit(round_id, measured.answers)
    return measured


async def _grant(contenders: Contenders, round_id: str, seconds: float) -> Measured:
    store = RedisStore.connect(contenders.redis_url)
    try:
        latencies, before = [], Reading.take(None, contenders.server, contenders.redis)
        until = time.perf_counter() + seconds
        for batch in _batches(contenders.keys.identity_key):
            sent_at = time.perf_counter()
            if sent_at >= until:
                break
            decisions = await store.claims.claim(round_id, batch)
            latencies.append(time.perf_counter() - sent_at)
            if any(decision.outcome is not Outcome.GRANTED for decision in decisions):
                raise AuditError(f"{round_id}: a fresh identity was not granted a claim")
        after = Reading.take(None, contenders.server, contenders.redis)
        return Measured.between(before, after, latencies, len(latencies) * MAX_BATCH)
    finally:
        with suppress(Exception):
            await store.close()


def _batches(key: bytes) -> Iterator[list[bytes]]:
    """Yield batches of fresh identities."""
    number = 0
    while True:
        yield [identity_digest(key, str(number + index)) for index in range(MAX_BATCH)]
        number += MAX_BATCH
