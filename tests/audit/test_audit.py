"""The audit finds every kind of corruption; each is tried on the real server."""

from collections.abc import Callable
from typing import cast

import pytest
import redis

from claimd.audit.audit import audit_round
from claimd.store.redis import keys
from claimd.store.redis.store import RedisStore
from tests.rounds import definition, identities, identity
from tests.servers import Server

ROUND, CLAIMS, LOG = keys.of_round("r1")


async def filled(store: RedisStore) -> None:
    """A round of 10, of which 6 are claimed, in three batches."""
    await store.rounds.round_create(definition(total=10), "")
    for people in ((1, 2, 3), (4,), (5, 6, 1)):
        await store.claims.claim("r1", identities(*people))


async def test_a_round_that_kept_its_promises(store: RedisStore) -> None:
    """All figures are counted from the claims, and the audit passes."""
    await filled(store)
    audit = await audit_round(store.log_reader, "r1")
    assert audit is not None
    assert audit.ok
    assert (audit.total, audit.issued, audit.remaining, audit.claims, audit.identities) == (10, 6, 4, 6, 6)


async def test_no_round_no_audit(store: RedisStore) -> None:
    """The audit of a missing round is None, not a pass."""
    assert await audit_round(store.log_reader, "nowhere") is None


async def test_a_round_without_claims_passes(store: RedisStore) -> None:
    """All figures are 0."""
    await store.rounds.round_create(definition(), "")
    audit = await audit_round(store.log_reader, "r1")
    assert audit is not None
    assert audit.ok


def _grant_beyond(client: redis.Redis) -> None:
    for number in range(7, 13):
        client.hset(CLAIMS, identity(number), f"{number}:1")


def _drop_log_entry(client: redis.Redis) -> None:
    [(entry, _)] = cast(list[tuple[bytes, dict[bytes, bytes]]], client.xrevrange(LOG, count=1))
    client.xdel(LOG, entry)


@pytest.mark.parametrize(
    ("corrupt", "wrong"),
    [
        pytest.param(lambda c: c.hset(ROUND, "issued", 7), "serials_contiguous", id="counter ahead"),
        pytest.param(lambda c: c.hset(ROUND, "issued", 5), "serials_contiguous", id="counter behind"),
        pytest.param(lambda c: c.hdel(CLAIMS, identity(3)), "serials_contiguous", id="claim lost"),
        pytest.param(lambda c: c.hset(CLAIMS, identity(3), "9:1"), "serials_contiguous", id="serial changed"),
        pytest.param(lambda c: c.hset(CLAIMS, identity(9), "3:1"), "duplicates", id="serial held twice"),
        pytest.param(lambda c: c.hset(CLAIMS, identity(9), "0:1"), "serials_contiguous", id="serial zero"),
        pytest.param(_grant_beyond, "oversold", id="more claims than packs"),
        pytest.param(lambda c: c.hset(ROUND, "total", 4), "oversold", id="total below claims"),
        pytest.param(_drop_log_entry, "log_matches", id="log entry lost"),
        pytest.param(
            lambda c: c.xadd(LOG, {"grants": "r1", "first": 2, "at_ms": 1, "identities": identity(2)}),
            "log_matches",
            id="granted twice in the log",
        ),
        pytest.param(lambda c: c.hset(CLAIMS, identity(3), "3:1"), "log_matches", id="time changed"),
    ],
)
async def test_each_corruption_is_found(
    store: RedisStore, server: Server, corrupt: Callable[[redis.Redis], object], wrong: str
) -> None:
    """Each corruption fails the audit in the field that is about it."""
    await filled(store)
    with server.client() as client:
        corrupt(client)
    audit = await audit_round(store.log_reader, "r1")
    assert audit is not None
    assert not audit.ok
    finding = getattr(audit, wrong)
    assert finding is False or (finding is not True and finding > 0)
