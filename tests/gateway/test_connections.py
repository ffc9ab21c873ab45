"""Connections that end at the wrong moment: a grant stays a grant, and a retry replays it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from claimd.contract.limits import IDLE_SECONDS
from claimd.domain.outcomes import Decision
from claimd.gateway.lane.connection import Lane
from claimd.http.aiohttp_door import AiohttpDoor
from tests.http import serving
from tests.http.answers import good
from tests.http.raw import connected
from tests.http.serving import Served, open_round, pass_for, with_pass
from tests.patience import PATIENCE_SECONDS
from tests.servers import Server

CLAIMS = "/v1/rounds/night/claims"


class Gate:
    """Holds a store's claims back, before or after they are decided, until it is opened."""

    def __init__(self, served: Served, monkeypatch: pytest.MonkeyPatch, *, decided: bool) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()
        self.passed = asyncio.Event()
        claim = served.store.claims.claim

        async def held_back(round_id: str, identities: Sequence[bytes], epoch: int) -> list[Decision]:
            decisions = await claim(round_id, identities, epoch) if decided else []
            self.reached.set()
            await self.open.wait()
            decisions = decisions or await claim(round_id, identities, epoch)
            self.passed.set()
            return decisions

        monkeypatch.setattr(served.store.claims, "claim", held_back)


def _request(sub: str) -> bytes:
    return f"POST {CLAIMS} HTTP/1.1\r\nHost: x\r\nAuthorization: Pass {pass_for(sub)}\r\n\r\n".encode()


async def _next_tick() -> float:
    """The loop's time, when it is later than all it has been so far: uvloop counts in milliseconds."""
    clock = asyncio.get_running_loop().time
    before = clock()
    while (now := clock()) <= before:  # noqa: ASYNC110 - there is no event for the end of a millisecond
        await asyncio.sleep(0)
    return now


@pytest.mark.parametrize("door", [Lane, AiohttpDoor])
@pytest.mark.parametrize("decided", [False, True])
async def test_a_claim_whose_client_left_is_replayed(
    valkey: Server, monkeypatch: pytest.MonkeyPatch, door: Any, decided: bool
) -> None:
    """A claim that was sent is decided, whether its client waits for it or not; the next request replays it."""
    async with serving.gateway(valkey.url, door=door) as gateway:
        await open_round(gateway.store)
        gate = Gate(gateway, monkeypatch, decided=decided)
        async with connected(gateway.port) as raw:
            await raw.send(_request("ada"))
            await asyncio.wait_for(gate.reached.wait(), PATIENCE_SECONDS)
        gate.open.set()
        await asyncio.wait_for(gate.passed.wait(), PATIENCE_SECONDS)
        document = await good(await gateway.http.post(CLAIMS, headers=with_pass("ada")), 200)
        assert document["replayed"] is True
        assert document["claim"]["serial"] == 1


@pytest.mark.parametrize("door", [Lane, AiohttpDoor])
async def test_pipelined_requests_are_answered_in_order(
    valkey: Server, monkeypatch: pytest.MonkeyPatch, door: Any
) -> None:
    """Requests that arrive while one is being decided are answered after it, each with its own answer."""
    async with serving.gateway(valkey.url, door=door) as gateway:
        await open_round(gateway.store)
        gate = Gate(gateway, monkeypatch, decided=False)
        async with connected(gateway.port) as raw:
            await raw.send(_request("ada"))
            await asyncio.wait_for(gate.reached.wait(), PATIENCE_SECONDS)
            for sub in ("bob", "ada", "eve"):
                await raw.send(_request(sub))
            await raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            gate.open.set()
            answers = [await raw.answer() for _ in range(5)]
        told = [(answer.status, answer.document.get("claim", {}).get("serial")) for answer in answers if answer]
        assert told == [(201, 1), (201, 2), (200, 1), (201, 3), (200, None)]


@pytest.mark.parametrize("door", [Lane, AiohttpDoor])
async def test_pipelined_claims_of_many_connections_are_never_mixed_up(valkey: Server, door: Any) -> None:
    """30 connections with 20 people each, all at once and in odd pieces: each gets the claim that the server holds."""
    async with serving.gateway(valkey.url, door=door) as gateway:
        await open_round(gateway.store, total=1000)

        async def one(connection: int) -> list[tuple[bytes, int]]:
            people = [f"{connection}-{n}" for n in range(20)]
            requests, piece_bytes = b"".join(map(_request, people)), 100 + 37 * connection
            async with connected(gateway.port) as raw:
                for at in range(0, len(requests), piece_bytes):
                    await raw.send(requests[at : at + piece_bytes])
                    await asyncio.sleep(0)
                answers = [await raw.answer() for _ in people]
            return [
                (serving.identity_of(sub), answer.document["claim"]["serial"])
                for sub, answer in zip(people, answers, strict=True)
            ]

        told = [pair for pairs in await asyncio.gather(*map(one, range(30))) for pair in pairs]
        assert sorted(serial for _, serial in told) == list(range(1, 601))
        assert dict(told) == {
            identity: claim.serial async for identity, claim in gateway.store.log_reader.claims("night")
        }


async def test_a_door_that_closes_answers_first(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a gateway stops, a claim that is being decided is answered, and then the connection is closed."""
    async with serving.gateway(valkey.url) as gateway:
        await open_round(gateway.store)
        gate = Gate(gateway, monkeypatch, decided=False)
        lane = gateway.front
        async with connected(gateway.port) as raw, connected(gateway.port) as idle:
            await idle.send(_request("bob"))
            await asyncio.wait_for(gate.reached.wait(), PATIENCE_SECONDS)
            gate.open.set()
            assert (await idle.answer()).status == 201
            gate.reached.clear()
            gate.open.clear()
            await raw.send(_request("ada"))
            await asyncio.wait_for(gate.reached.wait(), PATIENCE_SECONDS)
            stopping = asyncio.create_task(lane.stop())
            assert await idle.has_ended()
            assert not stopping.done()
            gate.open.set()
            assert (await raw.answer()).status == 201
            assert await raw.has_ended()
            await asyncio.wait_for(stopping, PATIENCE_SECONDS)


async def test_stopping_waits_for_claims_also_after_all_connections_were_closed_once(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that once had no connection, as after a health check, does not stop early."""
    async with serving.gateway(valkey.url) as gateway:
        await open_round(gateway.store)
        gate = Gate(gateway, monkeypatch, decided=False)
        lane = gateway.front
        gate.open.set()
        async with connected(gateway.port) as first:
            await first.send(_request("bob"))
            assert (await first.answer()).status == 201
        async with asyncio.timeout(PATIENCE_SECONDS):
            while lane.connections:  # noqa: ASYNC110 - there is no event for the last one
                await asyncio.sleep(0)
        gate.open.clear()
        gate.reached.clear()
        async with connected(gateway.port) as raw:
            await raw.send(_request("ada"))
            await asyncio.wait_for(gate.reached.wait(), PATIENCE_SECONDS)
            stopping = asyncio.create_task(lane.stop())
            await asyncio.sleep(0)
            assert not stopping.done()
            gate.open.set()
            assert (await raw.answer()).status == 201
            await asyncio.wait_for(stopping, PATIENCE_SECONDS)


async def test_idle_connections_are_closed(gateway: Served) -> None:
    """Those on which nothing was asked for a while, and no others."""
    await open_round(gateway.store)
    async with connected(gateway.port) as old, connected(gateway.port) as busy:
        for raw in (old, busy):
            await raw.send(_request("ada"))
            assert (await raw.answer()).status in (200, 201)
        between = await _next_tick()
        await busy.send(_request("bob"))
        assert (await busy.answer()).status == 201
        await gateway.sweep(between + IDLE_SECONDS)
        assert await old.has_ended()
        await busy.send(_request("bob"))
        assert (await busy.answer()).status == 200


@pytest.mark.parametrize("door", [Lane, AiohttpDoor])
@pytest.mark.parametrize("longer", [False, True])
async def test_the_idle_limit_is_a_setting(valkey: Server, door: Any, longer: bool) -> None:
    """Before its first request, at both doors: not a moment after the limit that was set, and not before it."""
    idle_seconds = IDLE_SECONDS * (2 if longer else 0.5)
    serve = serving.gateway(valkey.url, door=door, idle_seconds=idle_seconds)
    async with serve as gateway, connected(gateway.port) as raw:
        while not gateway.front.connections:  # noqa: ASYNC110 - there is no event for an accepted one
            await asyncio.sleep(0)
        await gateway.sweep(await _next_tick() + IDLE_SECONDS)
        if longer:
            await raw.send(_request("ada"))
            assert (await raw.answer()).status == 404
        else:
            assert await raw.has_ended()


@pytest.mark.parametrize("door", [Lane, AiohttpDoor])
async def test_the_idle_limit_holds_at_aiohttp(valkey: Server, door: Any) -> None:
    """Also one that was handed over: there the library closes it, by a timer of its own."""
    async with serving.gateway(valkey.url, door=door, idle_seconds=0.05) as gateway, connected(gateway.port) as raw:
        await raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await raw.answer()).status == 200
        assert await raw.has_ended()
