"""The log reader on a real server, and the checker on a round that the real scripts decide there."""

import asyncio
import time

import orjson

from claimd.domain.claims import IDENTITY_BYTES
from claimd.domain.log import EditEntry, GrantsEntry
from claimd.domain.outcomes import Outcome
from claimd.store.redis.keys import Partition, log_key
from claimd.store.redis.store import RedisStore
from loadtest.client.answers import Answer
from loadtest.history.checker import check
from loadtest.history.log import Log, read_log
from loadtest.history.operations import Operation, Operations
from loadtest.target.clock import read_valkey_clock
from tests.loadtest.histories import columns, digest
from tests.rounds import definition, identities, now_ms
from tests.servers import Server

ANSWERS = {Outcome.GRANTED: Answer.GRANTED, Outcome.REPLAYED: Answer.REPLAYED, Outcome.SOLD_OUT: Answer.SOLD_OUT,
        Outcome.PAUSED: Answer.PAUSED, Outcome.CLOSED: Answer.CLOSED}  # fmt: skip


def read(server: Server, round_id: str = "r1") -> Log:
    with server.client() as client:
        return read_log(client, round_id)


async def test_a_log_of_many_pages_is_read_as_the_store_reads_it(store: RedisStore, server: Server) -> None:
    """Every entry, in order: creation, grants, edits."""
    await store.rounds.round_create(definition(total=5000), "made")
    for first in range(0, 3003, 7):
        await store.claims.claim("r1", identities(*range(first, first + 7)))
    await store.rounds.round_edit("r1", {"paused": True, "total": 6000}, "a breath")
    log = read(server)
    assert log.malformed == 0
    assert list(log.entries) == [entry async for entry in store.log_reader.log("r1")]
    assert isinstance(log.entries[0], EditEntry)
    assert log.entries[0].fields["total"] == "5000"
    assert isinstance(log.entries[-1], EditEntry)
    assert log.entries[-1].fields == {"paused": "1", "total": "6000"}
    assert isinstance(log.entries[429], GrantsEntry)
    assert log.entries[429].first_serial == 2997


async def test_entries_that_cannot_be_read_are_counted(store: RedisStore, server: Server) -> None:
    """Entries of another round in the same log are skipped."""
    await store.rounds.round_create(definition(), "")
    strange = [
        {"grants": "r1", "first": 1, "at_ms": 5},
        {"grants": "r1", "first": 1, "at_ms": 5, "identities": b""},
        {"grants": "r1", "first": 1, "at_ms": 5, "identities": b"short"},
        {"grants": "r1", "first": "x", "at_ms": 5, "identities": bytes(IDENTITY_BYTES)},
        {"edit": "r1", "version": 2, "at_ms": 5, "reason": "", "fields": "["},
        {"edit": "r1", "version": 2, "at_ms": 5, "reason": "", "fields": orjson.dumps([])},
        {"something": "r1"},
    ]
    with server.client() as client:
        for fields in strange:
            client.xadd(log_key(Partition("r1")), fields)
        client.xadd(log_key(Partition("r1")), {"grants": "r2"})
    log = read(server)
    assert (len(log.entries), log.malformed) == (1, len(strange))
    assert read(server, "nowhere") == Log(())


async def test_a_round_decided_by_the_scripts_has_no_violations(store: RedisStore, server: Server) -> None:
    """With concurrent batches, a pause, more stock and the close; by the log of the scripts and the server's clock."""
    operations: list[Operation] = []

    async def claim(*claimants: int) -> None:
        start = time.monotonic()
        decisions = await store.claims.claim("r1", [digest(claimant) for claimant in claimants])
        end = time.monotonic()
        for claimant, decision in zip(claimants, decisions, strict=True):
            answer, identity = ANSWERS[decision.outcome], digest(claimant)
            operations.append(Operation(start, end, identity, answer, decision.serial, decision.claimed_at_ms))

    await store.rounds.round_create(definition(total=60, opens_at_ms=now_ms() - 1000), "")
    await asyncio.gather(*(claim(*range(first, first + 20)) for first in range(0, 100, 10)))
    await store.rounds.round_edit("r1", {"total": 80}, "more")
    await store.rounds.round_edit("r1", {"paused": True}, "a breath")
    await claim(5, 200)
    await store.rounds.round_edit("r1", {"paused": False}, "go on")
    await asyncio.gather(*(claim(claimant) for claimant in range(110)))
    await store.rounds.round_edit("r1", {"closed": True}, "enough")
    await claim(5, 201)
    with server.client() as client:
        log, clock = read_log(client, "r1"), read_valkey_clock(client)
    export = columns([(claim.serial, int.from_bytes(identity[:4], "little"), claim.claimed_at_ms)
                      async for identity, claim in store.log_reader.claims("r1")])  # fmt: skip
    counted = check(export, Operations.of(operations), log=log, clock=clock)
    assert counted.violations() == {}
    assert counted.exported == counted.told_granted == 80
    assert {each.answer for each in operations} == set(ANSWERS.values())
