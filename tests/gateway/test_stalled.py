"""Clients that stall, drip, never end or never read are hung up on in bounded time and cost bounded memory.

Time passes by sweeps with a later `now`, so that nothing here waits for it.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from claimd.contract.limits import ANSWER_SECONDS, REQUEST_SECONDS
from claimd.gateway.lane.connection import Lane, LaneConnection
from claimd.http import aiohttp_door
from claimd.http.aiohttp_door import AiohttpDoor
from tests.http import serving
from tests.http.raw import Raw, connected, until
from tests.http.serving import Served, open_round, pass_for
from tests.patience import PATIENCE_SECONDS
from tests.servers import Server

CLAIM = f"POST /v1/rounds/night/claims HTTP/1.1\r\nHost: x\r\nAuthorization: Pass {pass_for('ada')}\r\n\r\n".encode()
OTHERS = 20
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
# uvloop's transports pause a writer at 64 KiB; one answer may come on top.
MOST_UNREAD_BYTES = 66 * 1024


async def _tick() -> float:
    """The loop's time, when it is later than all that has happened: uvloop counts in milliseconds."""
    clock = asyncio.get_running_loop().time
    before = clock()
    return float(await until(lambda: (now := clock()) > before and now))


class Arrivals:
    """What connections of either kind have received."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.received: list[bytes] = []
        for kind in (LaneConnection, aiohttp_door.AiohttpConnection):
            monkeypatch.setattr(kind, "data_received", self._noted(kind.data_received))

    def _noted(self, data_received: Callable[[Any, bytes], None]) -> Callable[[Any, bytes], None]:
        def noted(connection: Any, data: bytes) -> None:
            data_received(connection, data)
            self.received.append(data)

        return noted

    async def of(self, piece: bytes) -> None:
        """Return when something that ends so has arrived."""
        await until(lambda: any(data.endswith(piece) for data in self.received))
        self.received.clear()


@pytest.fixture
def arrivals(monkeypatch: pytest.MonkeyPatch) -> Arrivals:
    """Sets an event when bytes have arrived."""
    return Arrivals(monkeypatch)


@pytest.fixture(params=[Lane, AiohttpDoor])
async def gateway(request: pytest.FixtureRequest, valkey: Server) -> AsyncIterator[Served]:
    """A gateway with its lane, and one without."""
    async with serving.gateway(valkey.url, door=request.param) as served:
        yield served


@asynccontextmanager
async def _lane(valkey: Server) -> AsyncIterator[Served]:
    async with serving.gateway(valkey.url) as served:
        await open_round(served.store)
        yield served


def _open(gateway: Served) -> int:
    return len({*gateway.front.connections, *gateway.behind.connections})


@pytest.mark.parametrize("request_bytes", [CLAIM, HEALTH], ids=["claim", "other"])
@pytest.mark.parametrize("at", [1, 6, 20, -3])
@pytest.mark.parametrize("kept", [False, True], ids=["new connection", "kept connection"])
async def test_an_incomplete_request_is_closed(
    gateway: Served, arrivals: Arrivals, request_bytes: bytes, at: int, kept: bool
) -> None:
    """Counted from its first byte, so dripping does not help; not before its time, and without an answer."""
    await open_round(gateway.store)
    at %= len(request_bytes)
    first, second, third = request_bytes[:at], request_bytes[at : at + 1], request_bytes[at + 1 : at + 2]
    async with connected(gateway.port) as raw:
        if kept:
            await raw.send(request_bytes)
            assert (await raw.answer()).status in (200, 201)
        await raw.send(first)
        await arrivals.of(first[-5:])
        begun = await _tick()
        await raw.send(second)
        await arrivals.of(second)
        await gateway.sweep(begun + REQUEST_SECONDS / 2)
        await raw.send(third)
        await arrivals.of(third)
        assert _open(gateway) == 1
        await gateway.sweep(begun + REQUEST_SECONDS)
        assert await raw.has_ended()
        await until(lambda: not _open(gateway))


async def test_a_request_completed_in_time_is_answered(gateway: Served, arrivals: Arrivals) -> None:
    """A sweep long after the first byte of a request that has become whole in the meantime is nothing to it."""
    await open_round(gateway.store)
    async with connected(gateway.port) as raw:
        for status in (201, 200):
            await raw.send(CLAIM[:100])
            await arrivals.of(CLAIM[90:100])
            await raw.send(CLAIM[100:])
            assert (await raw.answer()).status == status
            await gateway.sweep(await _tick() + REQUEST_SECONDS + 30)


async def test_half_a_claim_waits_in_the_lane(valkey: Server, arrivals: Arrivals) -> None:
    """It costs no parser and no task of aiohttp's, and the lane answers the whole."""
    async with _lane(valkey) as gateway, connected(gateway.port) as raw:
        for at in (1, 16, 60, len(CLAIM) - 1):
            await raw.send(CLAIM[:at])
            await arrivals.of(CLAIM[:at][-10:])
            await raw.send(CLAIM[at:])
            assert (await raw.answer()).status in (200, 201)
            assert (len(gateway.front.connections), len(gateway.behind.connections)) == (1, 0)


@pytest.mark.parametrize(
    "part",
    [
        b"PUT",
        b"GET /h",
        b"GET /v1/rounds?",
        b"POST /healthz",
        b"POST /v1/rounds/night/claims HTTP/1.1\r\nHost: x\n",
        b"POST /v1/rounds/night/claims HTTP/1.1\r\nHost: x\r\n ",
        b"POST /v1/rounds/night/claims HTTP/1.1\r\nHost: x\rX: ",
        b"POST /v1/rounds/night/claims HTTP/1.1\r\nHost: x\0",
        b"POST /v1/rounds/night/claims HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 4096,
    ],
    ids=lambda part: repr(part[-20:]),
)
async def test_what_cannot_become_a_request_of_the_lane_does_not_wait(valkey: Server, part: bytes) -> None:
    """The lane keeps at most 4 KiB of a connection, and nothing that aiohttp may have a complaint about already."""
    async with _lane(valkey) as gateway, connected(gateway.port) as raw:
        await raw.send(part)
        await until(lambda: gateway.behind.connections)
        assert not gateway.front.connections


@pytest.mark.parametrize("begin", [CLAIM[:-2], HEALTH[:-2]], ids=["claim", "other"])
async def test_endless_headers_are_cut_off(gateway: Served, begin: bytes) -> None:
    """400, and hung up on, after as much as aiohttp takes of a head."""
    async with connected(gateway.port) as raw:
        sent = [await raw.send(begin)]

        async def pour() -> None:
            while await raw.send(b"X-%d: %b\r\n" % (len(sent), b"y" * 1000)):
                sent.append(True)

        pouring = asyncio.create_task(pour())
        answer = await raw.answer()
        assert (answer.status, answer.document["code"]) == (400, "bad_request")
        await asyncio.wait_for(pouring, PATIENCE_SECONDS)
        await until(lambda: not _open(gateway))


@asynccontextmanager
async def _connected_with_small_buffers(gateway: Served) -> AsyncIterator[tuple[Raw, Any]]:
    """A connection whose kernel buffers are soon full, and the transport at its other end."""
    async with connected(gateway.port, receive_bytes=4096) as raw:
        connection = await until(lambda: next(iter(gateway.front.connections), None))
        transport = connection._transport if isinstance(connection, LaneConnection) else connection.transport
        assert transport is not None
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        yield raw, transport


@asynccontextmanager
async def _pouring(raw: Raw, requests: bytes) -> AsyncIterator[None]:
    """Send for as long as it is taken, and never read."""

    async def pour() -> None:
        while await raw.send(requests):
            pass

    pouring = asyncio.create_task(pour())
    try:
        yield
    finally:
        pouring.cancel()


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each request that was answered, by whichever door."""
    entries: list[int] = []
    send, finish = LaneConnection.send, aiohttp_door.AiohttpConnection.finish_response

    def by_lane(connection: Any, *arguments: Any) -> None:
        entries.append(1)
        send(connection, *arguments)

    async def by_aiohttp(connection: Any, *arguments: Any) -> Any:
        entries.append(1)
        return await finish(connection, *arguments)

    monkeypatch.setattr(LaneConnection, "send", by_lane)
    monkeypatch.setattr(aiohttp_door.AiohttpConnection, "finish_response", by_aiohttp)
    return entries


async def _others_are_served(gateway: Served) -> None:
    async with connected(gateway.port) as other:
        for _ in range(OTHERS):
            await other.send(HEALTH)
            assert (await other.answer()).status == 200


async def _is_hung_up_on_in_time(gateway: Served) -> None:
    """Not before its time; and where the kernel takes a little more of the unread answers, the time begins anew."""
    now = await _tick()
    await gateway.sweep(now)
    await gateway.sweep(now + ANSWER_SECONDS)
    assert _open(gateway) == 1
    await gateway.sweep_until(lambda: not _open(gateway), now, ANSWER_SECONDS + 1)


@pytest.mark.parametrize(
    "requests", [CLAIM, HEALTH, CLAIM * 20, HEALTH * 20], ids=lambda sent: repr(sent[:4] + sent[-4:])
)
async def test_a_pipelining_client_that_never_reads_is_closed(
    gateway: Served, answered: list[int], requests: bytes
) -> None:
    """Once nothing more can be written to it, nothing more of it is taken; in time it is hung up on."""
    await open_round(gateway.store)
    async with _connected_with_small_buffers(gateway) as (raw, transport), _pouring(raw, requests):
        await until(lambda: any(connection.writing_paused for connection in gateway.behind.connections))
        accepted = len(answered)
        await _others_are_served(gateway)
        assert len(answered) == accepted + OTHERS
        assert transport.get_write_buffer_size() <= MOST_UNREAD_BYTES
        await _is_hung_up_on_in_time(gateway)


async def test_a_repeating_client_that_never_reads_is_closed(valkey: Server, answered: list[int]) -> None:
    """The lane, too, takes nothing more once nothing can be written, and hangs up in time."""
    async with _lane(valkey) as gateway, _connected_with_small_buffers(gateway) as (raw, transport):
        (connection,) = gateway.front.connections
        while not connection._writing_paused:
            before = len(answered)
            await raw.send(CLAIM)
            await until(lambda: len(answered) > before)  # noqa: B023 - called in this turn only
        before = len(answered)
        await raw.send(CLAIM)
        await _others_are_served(gateway)
        assert len(answered) == before + OTHERS
        assert transport.get_write_buffer_size() <= MOST_UNREAD_BYTES
        await _is_hung_up_on_in_time(gateway)


async def test_a_slow_reader_is_not_closed(gateway: Served, answered: list[int]) -> None:
    """A client that reads some of its answers between two sweeps may be slow, and is answered on."""
    await open_round(gateway.store)
    async with _connected_with_small_buffers(gateway) as (raw, transport), _pouring(raw, CLAIM):
        now = asyncio.get_running_loop().time()
        for _ in range(10):
            await until(lambda: any(connection.writing_paused for connection in gateway.behind.connections))
            unread, accepted = transport.get_write_buffer_size(), len(answered)
            now += ANSWER_SECONDS + 1
            await gateway.sweep(now)
            while transport.get_write_buffer_size() >= unread and len(answered) == accepted:
                assert (await raw.answer()).status in (200, 201)
        assert _open(gateway) == 1


@pytest.mark.parametrize("by", ["no HTTP", "force"])
async def test_an_unread_answer_does_not_keep_a_closed_connection(
    gateway: Served, answered: list[int], by: str
) -> None:
    """Closing waits for what is to be written; it does not wait for ever."""
    await open_round(gateway.store)
    async with _connected_with_small_buffers(gateway) as (raw, transport):
        await raw.send(HEALTH)
        (connection,) = await until(lambda: gateway.behind.connections)
        while not transport.get_write_buffer_size():
            before = len(answered)
            await raw.send(HEALTH)
            await until(lambda: len(answered) > before)  # noqa: B023 - called in this turn only
        if by == "force":
            # As the library does when nothing more was asked for a while.
            connection.force_close()
        else:
            await raw.send(b"nonsense\r\n\r\n")
        await until(transport.is_closing)
        await _is_hung_up_on_in_time(gateway)
