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

ROUND, CLAIMS, LOG, VOIDS = keys.of_round("r1")


async def filled(store: RedisStore) -> None:
    """A round of 10, of which 6 are claimed, in three batches; a seventh claim was voided."""
    await store.rounds.round_create(definition(total=10), "")
    for people in ((1, 2, 3), (4,), (5, 6, 7, 1)):
        await store.claims.claim("r1", identities(*people))
    await store.voids.claim_void("r1", 7, bar=False, reason="fraud")


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
        pytest.param(lambda c: c.hset(ROUND, "issued", 8), "serials_contiguous", id="counter ahead"),
        pytest.param(lambda c: c.hset(ROUND, "issued", 5), "serials_contiguous", id="counter behind"),
        pytest.param(lambda c: c.hdel(CLAIMS, identity(3)), "serials_contiguous", id="claim lost"),
        pytest.param(lambda c: c.hset(CLAIMS, identity(3), "9:1"), "serials_contiguous", id="serial changed"),
        pytest.param(lambda c: c.hset(CLAIMS, identity(9), "3:1"), "duplicates", id="serial held twice"),
        pytest.param(lambda c: c.hset(CLAIMS, identity(9), "-1:1"), "serials_contiguous", id="serial below one"),
        pytest.param(_grant_beyond, "oversold", id="more claims than packs"),
        pytest.param(lambda c: c.hset(ROUND, "total", 4), "oversold", id="total below claims"),
        pytest.param(_drop_log_entry, "log_matches", id="log entry lost"),
        pytest.param(lambda c: c.hdel(VOIDS, "7"), "serials_contiguous", id="void lost"),
        pytest.param(lambda c: c.hset(VOIDS, "7", identity(5) + b"1:2:0"), "log_matches", id="void changed"),
        pytest.param(lambda c: c.hset(ROUND, "voided", 2), "ok", id="a pack given back twice"),
        pytest.param(lambda c: c.hset(ROUND, "voided", 0), "ok", id="a pack not given back"),
        pytest.param(
            lambda c: c.hset(VOIDS, "2", identity(2) + b"1:2:0"), "log_matches", id="void without a log entry"
        ),
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
