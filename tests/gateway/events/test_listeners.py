"""Many listeners: what they share, how many there may be, and how each of them leaves."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest

from claimd.contract.limits import ANSWER_SECONDS, EVENT_SECONDS
from claimd.domain.outcomes import EditOutcome
from claimd.domain.times import HOUR_MS
from claimd.gateway.context import CONTEXT
from claimd.gateway.events.groups import GROUP_LISTENERS
from claimd.gateway.events.live_rounds import EventLimits, LiveRounds
from tests.gateway.events.streams import Stream, full_listener, listening
from tests.http import serving
from tests.http.raw import connected, until
from tests.http.serving import Served, open_round
from tests.patience import PATIENCE_SECONDS
from tests.servers import Server

OFTEN = EventLimits(comment_seconds=0.05)


def live(gateway: Served) -> LiveRounds:
    """The listeners of a gateway."""
    return gateway.app[CONTEXT].live_rounds


async def edited(gateway: Served, title: str, **fields: Any) -> None:
    """Change the round."""
    await gateway.store.rounds.round_edit("night", {"title": title, **fields}, "for a test")


async def listeners(stack: AsyncExitStack, port: int, number: int) -> list[Stream]:
    """So many clients that have their first event."""
    streams = [await stack.enter_async_context(listening(port)) for _ in range(number)]
    for stream in streams:
        await stream.event()
    return streams


async def test_many_share_readings_and_all_get_the_news(gateway: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a group of them; the server is asked as often as for one."""
    await open_round(gateway.store)
    rounds, calls, loop = gateway.store.rounds, 0, asyncio.get_running_loop()
    read = rounds.readings

    async def counted(round_ids: Sequence[str]) -> Any:
        nonlocal calls
        calls += 1
        return await read(round_ids)

    async with AsyncExitStack() as stack:
        streams = await listeners(stack, gateway.port, 3 * GROUP_LISTENERS)
        monkeypatch.setattr(rounds, "readings", counted)
        began = loop.time()
        for number in range(3):
            await edited(gateway, f"Night {number}")
            await asyncio.gather(*(stream.until(title=f"Night {number}") for stream in streams))
        assert 3 <= calls <= (loop.time() - began) / EVENT_SECONDS + 1


async def test_a_round_is_read_only_while_it_has_listeners(gateway: Served) -> None:
    """The last listener takes its feed along, and the next one gets another."""
    await open_round(gateway.store)
    for _ in range(2):
        async with listening(gateway.port) as one, listening(gateway.port) as other:
            await one.event()
            await other.event()
            assert live(gateway).round_ids == {"night"}
        await until(lambda: live(gateway).listeners == 0)
        assert live(gateway).round_ids == set()
    await until(lambda: not [task for task in asyncio.all_tasks() if "RoundFeed" in repr(task)])


async def test_one_more_than_the_limit_is_rejected(valkey: Server) -> None:
    """503 with a Retry-After, counted; who leaves makes room at once."""
    async with serving.gateway(valkey.url, event_limits=EventLimits(listeners=2)) as gateway, AsyncExitStack() as stack:
        await open_round(gateway.store)
        await listeners(stack, gateway.port, 1)
        async with listening(gateway.port) as leaving:
            await leaving.event()
            for _ in range(2):
                async with connected(gateway.port) as raw:
                    await raw.send(b"GET /v1/rounds/night/events HTTP/1.1\r\nHost: x\r\n\r\n")
                    answer = await raw.answer()
                    assert (answer.status, answer.document["code"]) == (503, "overloaded")
                    assert 1 <= int(answer.headers["retry-after"]) <= 3
            assert gateway.counts.refusals["overloaded"] == 2
            async with gateway.http.head("/v1/rounds/night/events") as head:
                assert head.status == 200
        await until(lambda: live(gateway).listeners == 1)
        async with listening(gateway.port) as stream:
            await stream.event()


async def test_streams_end_when_the_gateway_stops(valkey: Server) -> None:
    """At once and in good order, also beside a client that reads nothing; a later client gets 503 `unavailable`."""
    async with AsyncExitStack() as stack, serving.gateway(valkey.url) as gateway:
        await open_round(gateway.store)
        full, _ = await stack.enter_async_context(full_listener(gateway))
        streams = await listeners(stack, gateway.port, GROUP_LISTENERS + 1)
        late = await stack.enter_async_context(connected(gateway.port))
        await live(gateway).stop()
        for stream in streams:
            await stream.to_the_end()
        await late.send(b"GET /v1/rounds/night/events HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await late.answer()
        assert (answer.status, answer.document["code"]) == (503, "unavailable")
        assert full.transport.is_closing()
        await until(lambda: live(gateway).listeners == 0)


async def test_a_gateway_stops_within_its_limits(valkey: Server) -> None:
    """aiohttp waits for answers that are not complete: a stream must not hold it up."""
    async with AsyncExitStack() as stack:
        async with serving.gateway(valkey.url) as gateway:
            await open_round(gateway.store)
            streams = await listeners(stack, gateway.port, 2)
            loop = asyncio.get_running_loop()
            began = loop.time()
        # `serving` waits for a second before it cuts answers off.
        assert loop.time() - began < 1
        for stream in streams:
            await stream.to_the_end()


async def test_an_archived_round_ends_its_streams(gateway: Served) -> None:
    """Their clients reconnect and get 410, at which EventSource gives up."""
    await open_round(gateway.store)
    async with listening(gateway.port) as stream:
        await stream.event()
        await gateway.store.rounds.round_edit("night", {"closed": True}, "over")
        assert (await stream.event()).round["status"] == "closed"
        contents: dict[str, Any] = {
            "version": 2,
            "issued": 0,
            "voided": 0,
            "sha256": "ab" * 32,
            "file": "/x",
            "reason": "over",
        }
        assert (await gateway.store.rounds.round_archive("night", **contents)).outcome is EditOutcome.DONE
        await stream.to_the_end()
    async with listening(gateway.port) as stream:
        assert stream.status == 410


async def test_a_lost_server_leaves_streams_open(valkey: Server) -> None:
    """Comments go on, no event is repeated, and the next state comes when the server is back."""
    async with serving.gateway(valkey.url, event_limits=OFTEN) as gateway:
        await open_round(gateway.store)
        async with listening(gateway.port) as stream:
            await stream.event()
            valkey.kill()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (await gateway.http.get("/v1/rounds/night")).status == 200:
                    pass
            for _ in range(3):
                await stream.comment()
            async with listening(gateway.port) as other:
                assert other.status == 503
            valkey.start()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (await gateway.http.get("/v1/rounds/night")).status != 200:
                    pass
            await edited(gateway, "Another night")
            assert (await stream.event()).round["title"] == "Another night"


async def test_a_client_that_reads_may_stay_for_hours(valkey: Server) -> None:
    """It sends nothing any more, and that is no idleness."""
    async with serving.gateway(valkey.url, event_limits=OFTEN) as gateway:
        await open_round(gateway.store)
        async with listening(gateway.port) as stream:
            await stream.event()
            now = asyncio.get_running_loop().time()
            for second in range(0, 3 * HOUR_MS // 1000, 10):
                await gateway.sweep(now + second)
            await stream.comment()
            await edited(gateway, "Another night")
            await stream.until(title="Another night")


async def test_a_client_that_reads_slowly_may_stay(valkey: Server) -> None:
    """The sweep meets it with something unread each time, but each time something else."""
    async with serving.gateway(valkey.url) as gateway:
        await open_round(gateway.store)
        async with full_listener(gateway) as (full, witness):
            (slow,) = [each for each in gateway.behind.connections if each.transport is full.transport]
            now = asyncio.get_running_loop().time()
            await gateway.sweep(now)
            while full.waiting_bytes:
                await full.stream.event()
            # What waits at the next sweep may be more than at the last one, and none of the same.
            assert not slow._unread_answers.stuck(2**20, now + ANSWER_SECONDS + 1)
            await full.fill(witness)
            await gateway.sweep(now + ANSWER_SECONDS + 2)
            assert not full.transport.is_closing()


async def test_a_client_that_reads_nothing_is_closed(gateway: Served) -> None:
    """By the rule for all answers: after 20 s without progress."""
    await open_round(gateway.store)
    async with full_listener(gateway) as (full, witness):
        now = asyncio.get_running_loop().time()
        await gateway.sweep(now)
        await gateway.sweep(now + ANSWER_SECONDS - 1)
        assert not full.transport.is_closing()
        await gateway.sweep_until(lambda: live(gateway).listeners == 1, now + ANSWER_SECONDS, 1)
        await edited(gateway, "Another night")
        await witness.until(title="Another night")


async def test_a_client_that_closes_its_sending_side_is_closed(gateway: Served) -> None:
    """At once: an endless answer has no end to wait for, and most who do so are gone."""
    await open_round(gateway.store)
    async with listening(gateway.port) as stream:
        await stream.event()
        stream.raw.finish()
        assert await stream.raw.has_ended()
        await until(lambda: live(gateway).listeners == 0)


async def test_the_kernel_bounds_what_it_keeps_for_a_client(gateway: Served) -> None:
    """It queues little, and gives up a client that acknowledges nothing, as one whose network is gone."""
    await open_round(gateway.store)
    async with listening(gateway.port) as stream:
        await stream.event()
        (connection,) = gateway.behind.connections
        assert connection.transport is not None
        wire = connection.transport.get_extra_info("socket")
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 4096
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == ANSWER_SECONDS * 1000
