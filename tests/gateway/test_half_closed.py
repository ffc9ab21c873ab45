"""Clients that send a request, close their sending side, and read: both doors answer, then close."""

import asyncio
from typing import Any

import pytest

from claimd.gateway.lane.connection import Lane
from claimd.http import bodies
from claimd.http.aiohttp_door import AiohttpDoor
from tests.gateway.test_connections import CLAIMS, Gate, _request
from tests.http import serving
from tests.http.raw import Raw, connected, until
from tests.http.serving import Served, open_round, pass_for
from tests.patience import PATIENCE_SECONDS
from tests.servers import Server

DOORS = pytest.mark.parametrize("door", [Lane, AiohttpDoor])
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
HALVES = {
    "nothing": b"",
    "a letter": b"P",
    "a claim": _request("ada")[:-2],
    "a question": HEALTH[:-2],
    "a line": b"POST /v1/rounds/night/passes HTTP/1.1\r\n",
}
WHOLE = {"nothing": b"", "a question": HEALTH, "a claim": _request("ada")}
CUT_BODY = (
    f"POST {CLAIMS} HTTP/1.1\r\nHost: x\r\nAuthorization: Pass {pass_for('eve')}\r\n"
    "Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{"
).encode()


async def _told(raw: Raw) -> list[int]:
    """The status of every answer until the connection is closed."""
    statuses = []
    while (answer := await raw.answer_or_end()) is not None:
        statuses.append(answer.status)
    return statuses


async def _all_closed(gateway: Served) -> None:
    """Return when no connection is left at either door."""
    await until(lambda: not gateway.front.connections and not gateway.behind.connections)


@DOORS
@pytest.mark.parametrize("held_back", [False, True])
async def test_a_claim_is_answered_and_the_connection_closed(
    valkey: Server, monkeypatch: pytest.MonkeyPatch, door: Any, held_back: bool
) -> None:
    """Whether the end comes with the request or while it is being decided."""
    async with serving.gateway(valkey.url, door=door) as gateway:
        await open_round(gateway.store)
        gate = Gate(gateway, monkeypatch, decided=False)
        if not held_back:
            gate.open.set()
        async with connected(gateway.port) as raw:
            await raw.send(_request("ada"))
            if held_back:
                await asyncio.wait_for(gate.reached.wait(), PATIENCE_SECONDS)
            raw.finish()
            if held_back:
                for _ in range(10):
                    await asyncio.sleep(0)
                gate.open.set()
            assert await _told(raw) == [201]
            await _all_closed(gateway)


@DOORS
@pytest.mark.parametrize("in_pieces", [False, True])
async def test_pipelined_requests_are_all_answered(
    valkey: Server, monkeypatch: pytest.MonkeyPatch, door: Any, in_pieces: bool
) -> None:
    """In order, those that came while the first was being decided, too; what is no whole request is not."""
    async with serving.gateway(valkey.url, door=door) as gateway:
        await open_round(gateway.store)
        gate = Gate(gateway, monkeypatch, decided=False)
        requests = [_request("ada"), _request("bob"), _request("ada"), HEALTH, HEALTH[:20]]
        async with connected(gateway.port) as raw:
            for piece in requests if in_pieces else [b"".join(requests)]:
                await raw.send(piece)
                await asyncio.wait_for(gate.reached.wait(), PATIENCE_SECONDS)
            raw.finish()
            gate.open.set()
            assert await _told(raw) == [201, 201, 200, 200]
            await _all_closed(gateway)


@DOORS
@pytest.mark.parametrize("sent", HALVES.values(), ids=HALVES.keys())
async def test_with_nothing_to_answer_it_is_closed_at_once(valkey: Server, door: Any, sent: bytes) -> None:
    """An idle connection, and half a request, which will never be whole."""
    async with serving.gateway(valkey.url, door=door) as gateway, connected(gateway.port) as raw:
        await raw.send(sent)
        await until(lambda: gateway.front.connections or gateway.behind.connections)
        raw.finish()
        assert await raw.has_ended()
        await _all_closed(gateway)


@DOORS
@pytest.mark.parametrize("first", WHOLE.values(), ids=WHOLE.keys())
async def test_an_idle_connection_that_was_used_is_closed_at_once(valkey: Server, door: Any, first: bytes) -> None:
    """The answers before do not change that."""
    async with serving.gateway(valkey.url, door=door) as gateway:
        await open_round(gateway.store)
        async with connected(gateway.port) as raw:
            await raw.send(first)
            if first:
                assert (await raw.answer()).status in (200, 201)
            raw.finish()
            assert await raw.has_ended()
            await _all_closed(gateway)


@DOORS
@pytest.mark.parametrize("before", WHOLE.values(), ids=WHOLE.keys())
async def test_a_body_that_is_cut_off_is_an_error(
    valkey: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, door: Any, before: bytes
) -> None:
    """Nothing waits for the rest: 400 at once, after the answers to the requests before it, and the end."""
    monkeypatch.setattr(bodies, "BODY_SECONDS", 3600.0)
    async with serving.gateway(valkey.url, door=door) as gateway:
        await open_round(gateway.store)
        async with connected(gateway.port) as raw:
            await raw.send(before + CUT_BODY)
            raw.finish()
            statuses = await _told(raw)
            await _all_closed(gateway)
        assert statuses[-1] == 400
        assert len(statuses) == 1 + bool(before)
        assert not caplog.records


async def test_an_export_goes_on_to_a_half_closed_client(valkey: Server) -> None:
    """The console answers, too, however long the answer is, and closes."""
    async with serving.console(valkey.url) as console:
        await open_round(console.store, total=1000)
        for start in range(0, 1000, 500):
            await console.store.claims.claim("night", [serving.identity_of(str(n)) for n in range(start, start + 500)])
        async with connected(console.port) as raw:
            authorization = f"Authorization: Bearer {serving.ADMIN_TOKEN}"
            await raw.send(f"GET /admin/v1/rounds/night/claims HTTP/1.1\r\nHost: x\r\n{authorization}\r\n\r\n".encode())
            raw.finish()
            export = await raw.rest()
            assert export.count(b'"serial":') == 1000
            assert export.endswith(b"0\r\n\r\n")
            await _all_closed(console)


async def test_the_console_closes_idle_connections_at_once(valkey: Server) -> None:
    """And answers what is pending first."""
    async with serving.console(valkey.url) as console:
        async with connected(console.port) as raw:
            raw.finish()
            assert await raw.has_ended()
        async with connected(console.port) as raw:
            await raw.send(HEALTH + HEALTH)
            raw.finish()
            assert await _told(raw) == [200, 200]
        await _all_closed(console)


@DOORS
async def test_more_pipelined_requests_than_are_read_at_once(valkey: Server, door: Any) -> None:
    """Reading pauses and goes on, and the end comes after all of them."""
    async with serving.gateway(valkey.url, door=door) as gateway:
        await open_round(gateway.store, total=1000)
        async with connected(gateway.port) as raw:
            sending = asyncio.create_task(raw.send(b"".join(_request(f"p{n}") for n in range(500))))
            first = await raw.answer()
            assert await sending
            raw.finish()
            assert [first.status, *await _told(raw)] == [201] * 500
            await _all_closed(gateway)


async def test_a_crowd_of_half_closed_clients_is_answered(valkey: Server) -> None:
    """Also those whose claims wait for a later iteration of the event loop."""
    async with serving.gateway(valkey.url) as gateway:
        await open_round(gateway.store, total=1000)

        async def one(number: int) -> list[int]:
            async with connected(gateway.port) as raw:
                await raw.send(_request(f"p{number}"))
                raw.finish()
                return await _told(raw)

        assert await asyncio.gather(*map(one, range(300))) == [[201]] * 300
        await _all_closed(gateway)
