"""The audit and the export: true of what was granted, and false as soon as anything was tampered with."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis

from claimd.domain.claims import claim_id
from claimd.domain.log import GrantsEntry
from claimd.domain.times import to_rfc3339
from claimd.store.redis import keys
from tests.http.answers import good
from tests.http.raw import connected
from tests.http.serving import ADMIN, ADMIN_TOKEN, Served, open_round
from tests.servers import Server

AUDIT = "/admin/v1/rounds/night/audit"
EXPORT = "/admin/v1/rounds/night/claims"
AUDIT_FIELDS = {
    "ok",
    "total",
    "issued",
    "remaining",
    "claims",
    "identities",
    "serials_contiguous",
    "oversold",
    "duplicates",
    "log_matches",
    "voided",
}


def identity(n: int) -> bytes:
    """The n-th of the people of these tests."""
    return n.to_bytes(16, "big")


async def _grant(served: Served, count: int, total: int = 10) -> None:
    await open_round(served.store, total=total)
    for first in range(0, count, 512):
        await served.store.claims.claim("night", [identity(n) for n in range(first, min(first + 512, count))])


async def _audit(console: Served) -> dict[str, Any]:
    return await good(await console.http.get(AUDIT, headers=ADMIN))


@pytest.mark.parametrize(("granted", "total"), [(0, 0), (0, 10), (1, 10), (9, 10), (10, 10), (1500, 2000)])
async def test_a_good_round_is_ok(console: Served, granted: int, total: int) -> None:
    """Everything counted from the claims themselves agrees with the counters."""
    await _grant(console, granted, total)
    document = await _audit(console)
    assert document.keys() == AUDIT_FIELDS
    assert document == {
        "ok": True,
        "total": total,
        "issued": granted,
        "remaining": total - granted,
        "claims": granted,
        "identities": granted,
        "serials_contiguous": True,
        "oversold": 0,
        "duplicates": 0,
        "log_matches": True,
        "voided": 0,
    }


ROUND, CLAIMS, LOG, _ = keys.of_round("night")


def _value(client: Any, n: int) -> tuple[str, str]:
    serial, _, at_ms = client.hget(CLAIMS, identity(n)).decode().partition(":")
    return serial, at_ms


def _counter_up(client: Any) -> None:
    client.hincrby(ROUND, "issued", 1)


def _counter_down(client: Any) -> None:
    client.hincrby(ROUND, "issued", -1)


def _claim_gone(client: Any) -> None:
    client.hdel(CLAIMS, identity(2))


def _serial_zero(client: Any) -> None:
    client.hset(CLAIMS, identity(2), f"0:{_value(client, 2)[1]}")


def _serial_beyond(client: Any) -> None:
    client.hset(CLAIMS, identity(2), f"99:{_value(client, 2)[1]}")


def _serial_twice(client: Any) -> None:
    client.hset(CLAIMS, identity(2), f"1:{_value(client, 2)[1]}")


def _stranger_with_a_serial(client: Any) -> None:
    client.hset(CLAIMS, identity(77), f"3:{_value(client, 2)[1]}")


def _claim_beyond(client: Any) -> None:
    client.hset(CLAIMS, identity(77), f"7:{_value(client, 2)[1]}")


def _other_holder(client: Any) -> None:
    value = client.hget(CLAIMS, identity(2))
    client.hdel(CLAIMS, identity(2))
    client.hset(CLAIMS, identity(77), value)


def _other_time(client: Any) -> None:
    serial, at_ms = _value(client, 2)
    client.hset(CLAIMS, identity(2), f"{serial}:{int(at_ms) + 1}")


def _holders_swapped(client: Any) -> None:
    one, two = client.hget(CLAIMS, identity(1)), client.hget(CLAIMS, identity(2))
    client.hset(CLAIMS, mapping={identity(1): two, identity(2): one})


def _log_entry_gone(client: Any) -> None:
    client.xdel(LOG, client.xrevrange(LOG, count=1)[0][0])


def _log_gone(client: Any) -> None:
    client.delete(LOG)


def _log_entry_twice(client: Any) -> None:
    client.xadd(LOG, client.xrevrange(LOG, count=1)[0][1])


def _log_with_a_stranger(client: Any) -> None:
    entry = {**client.xrevrange(LOG, count=1)[0][1], b"first": b"7", b"identities": identity(77)}
    client.xadd(LOG, entry)


def _total_below(client: Any) -> None:
    client.hset(ROUND, "total", 4)


TAMPERED: list[tuple[Callable[[redis.Redis], None], dict[str, Any]]] = [
    (_counter_up, {"issued": 7, "claims": 6, "serials_contiguous": False}),
    (_counter_down, {"issued": 5, "claims": 6, "serials_contiguous": False, "log_matches": False}),
    (_claim_gone, {"claims": 5, "identities": 5, "serials_contiguous": False, "log_matches": False}),
    (_serial_zero, {"serials_contiguous": False, "log_matches": False}),
    (_serial_beyond, {"serials_contiguous": False, "log_matches": False}),
    (_serial_twice, {"serials_contiguous": False, "duplicates": 1, "log_matches": False}),
    (_stranger_with_a_serial, {"claims": 7, "duplicates": 1}),
    (_claim_beyond, {"claims": 7, "serials_contiguous": False}),
    (_other_holder, {"serials_contiguous": True, "log_matches": False}),
    (_other_time, {"serials_contiguous": True, "log_matches": False}),
    (_holders_swapped, {"serials_contiguous": True, "duplicates": 0, "log_matches": False}),
    (_log_entry_gone, {"claims": 6, "serials_contiguous": True, "log_matches": False}),
    (_log_gone, {"claims": 6, "log_matches": False}),
    (_log_entry_twice, {"claims": 6, "duplicates": 3}),
    (_log_with_a_stranger, {"claims": 6, "log_matches": False}),
    (_total_below, {"total": 4, "remaining": -2, "oversold": 2}),
]


@pytest.mark.parametrize(("tamper", "says"), TAMPERED, ids=[tamper.__name__ for tamper, _ in TAMPERED])
async def test_the_audit_notices_every_kind_of_tampering(
    console: Served, valkey: Server, tamper: Callable[[redis.Redis], None], says: dict[str, Any]
) -> None:
    """Not ok, and the right field of the audit is wrong."""
    await open_round(console.store, total=10)
    for first in (0, 3):
        await console.store.claims.claim("night", [identity(n) for n in range(first, first + 3)])
    assert (await _audit(console))["ok"] is True
    with valkey.client() as client:
        tamper(client)
    document = await _audit(console)
    assert document["ok"] is False
    assert {name: document[name] for name in says} == says


async def test_the_export_is_every_claim_in_order(console: Served) -> None:
    """NDJSON: one line a claim, by serial, as the server holds it; no identifier of a person but the digest."""
    await _grant(console, 1500, 1500)
    answer = await console.http.get(EXPORT, headers=ADMIN)
    assert answer.content_type == "application/x-ndjson"
    text = await answer.read()
    assert text.endswith(b"\n")
    lines = [json.loads(line) for line in text.splitlines()]
    held = {holder: claim async for holder, claim in console.store.log_reader.claims("night")}
    assert [line["serial"] for line in lines] == list(range(1, 1501))
    for line in lines:
        claim = held.pop(bytes.fromhex(line["identity"]))
        assert line == {
            "serial": claim.serial,
            "id": claim_id("night", claim.serial),
            "identity": identity(claim.serial - 1).hex(),
            "claimed_at": to_rfc3339(claim.claimed_at_ms),
        }
    assert not held


async def test_the_export_of_nothing_is_empty(console: Served) -> None:
    """200 and no line at all."""
    await open_round(console.store)
    answer = await console.http.get(EXPORT, headers=ADMIN)
    assert answer.status == 200
    assert await answer.read() == b""


async def test_the_export_is_streamed(console: Served) -> None:
    """20,000 claims come in many parts, none of them large, and all of them are there."""
    await _grant(console, 20_000, 20_000)
    answer = await console.http.get(EXPORT, headers=ADMIN)
    assert answer.headers["Transfer-Encoding"] == "chunked"
    text, chunk, chunks = bytearray(), bytearray(), []
    async for part, is_end in answer.content.iter_chunks():
        chunk += part
        if is_end:
            chunks.append(len(chunk))
            text += chunk
            chunk.clear()
    assert text.count(b"\n") == 20_000
    assert len(chunks) > 5
    assert max(chunks) < 1_000_000


async def test_an_export_is_cut_off_when_the_server_is_lost(
    console: Served, valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part is never taken for the whole: the end of the stream is missing."""
    await _grant(console, 20_000, 20_000)
    read_log, read = console.store.log_reader.log, 0

    async def log(round_id: str) -> Any:
        nonlocal read
        async for entry in read_log(round_id):
            if isinstance(entry, GrantsEntry):
                read += len(entry)
            if read > 5000:
                valkey.kill()
                await console.store.readiness.ping()
            yield entry

    # The store is a plain object that both the test and the console hold.
    monkeypatch.setattr(console.store.log_reader, "log", log)
    async with connected(console.port) as raw:
        head = f"GET {EXPORT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\r\n"
        await raw.send(head.encode())
        text = await raw.rest()
    assert text.startswith(b"HTTP/1.1 200 OK")
    assert b"\r\n0\r\n\r\n" not in text
