"""The limits on a client's time do not cut off what takes long by its nature: an audit, an export to a slow reader."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from claimd.contract.limits import ANSWER_SECONDS, REQUEST_SECONDS
from claimd.store.ports import Reading
from tests.http.raw import Raw, connected, until
from tests.http.serving import ADMIN_TOKEN, Served, identity_of, open_round
from tests.patience import PATIENCE_SECONDS

CLAIMS = 10_000
BATCH = 500
HOUR_SECONDS = 3600.0


def _get(path: str) -> bytes:
    return (
        f"GET /admin/v1/rounds/night{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\r\n".encode()
    )


@asynccontextmanager
async def _exporting(console: Served) -> AsyncIterator[tuple[Raw, asyncio.Transport]]:
    """A connection with an export that is larger than all buffers, and its other end, when the buffers are full."""
    await open_round(console.store, total=CLAIMS)
    for start in range(0, CLAIMS, BATCH):
        await console.store.claims.claim("night", [identity_of(str(n)) for n in range(start, start + BATCH)])
    async with connected(console.port, receive_bytes=4096) as raw:
        (connection,) = await until(lambda: console.front.connections)
        transport = connection.transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        await raw.send(_get("/claims"))
        await until(transport.get_write_buffer_size)
        yield raw, transport


async def test_an_export_is_not_cut_off_for_a_slow_reader(console: Served) -> None:
    """However long it takes, as long as some of it is taken from time to time."""
    async with _exporting(console) as (raw, transport):
        now, unread = asyncio.get_running_loop().time(), set()
        export = b""
        while not export.endswith(b"0\r\n\r\n"):
            now += ANSWER_SECONDS + 1
            await console.sweep(now)
            unread.add(transport.get_write_buffer_size())
            wanted = len(export) + 100_000
            while len(export) < wanted and not export.endswith(b"0\r\n\r\n"):
                piece = await raw.some()
                assert piece, f"cut off after {len(export)} bytes"
                export += piece
        assert export.count(b'"serial":') == CLAIMS
        assert len(unread) > 5


async def test_an_unread_export_is_closed(console: Served) -> None:
    """After a while in which nothing of it was taken."""
    async with _exporting(console) as (_, transport):
        now = asyncio.get_running_loop().time()
        await console.sweep(now)
        await console.sweep(now + ANSWER_SECONDS)
        assert not transport.is_closing()
        await console.sweep_until(lambda: not console.front.connections, now, ANSWER_SECONDS + 1)


async def test_an_audit_may_take_long(console: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that claimd itself takes has no limit."""
    await open_round(console.store)
    asked, go_on = asyncio.Event(), asyncio.Event()
    show = console.store.rounds.round

    async def slow(round_id: str) -> Reading:
        asked.set()
        await go_on.wait()
        return await show(round_id)

    monkeypatch.setattr(console.store.rounds, "round", slow)
    async with connected(console.port) as raw:
        await raw.send(_get(""))
        await asyncio.wait_for(asked.wait(), PATIENCE_SECONDS)
        await console.sweep(asyncio.get_running_loop().time() + HOUR_SECONDS)
        go_on.set()
        assert (await raw.answer()).status == 200


async def test_a_head_that_does_not_end_is_closed_here_too(console: Served) -> None:
    """In the same time as on the public side."""
    async with connected(console.port) as raw:
        await raw.send(_get("")[:-2])
        (connection,) = await until(lambda: console.front.connections)
        await until(lambda: connection._arriving_since)
        await console.sweep(asyncio.get_running_loop().time() + REQUEST_SECONDS + 1)
        assert await raw.has_ended()
