"""`GET /v1/rounds/{id}/events` on real sockets: what comes, when, and how a stream ends."""

import asyncio
import itertools

import pytest

from claimd.contract.limits import EVENT_RETRY_MS, EVENT_SECONDS
from claimd.domain.times import from_rfc3339
from claimd.gateway.events.live_rounds import EventLimits
from tests.gateway.events.streams import full_listener, listening
from tests.http import serving
from tests.http.raw import connected
from tests.http.serving import Served, open_round, with_pass
from tests.rounds import now_ms
from tests.servers import Server

OFTEN = EventLimits(comment_seconds=0.05)


async def claimed(gateway: Served, sub: str) -> None:
    """Claim one pack for a person."""
    async with gateway.http.post("/v1/rounds/night/claims", headers=with_pass(sub)) as answer:
        assert answer.status == 201


async def edited(gateway: Served, title: str) -> None:
    """Change the round."""
    await gateway.store.rounds.round_edit("night", {"title": title}, "for a test")


async def test_the_first_event_is_the_whole_round(gateway: Served) -> None:
    """At once, with the tag that `GET` of the round has; no cache keeps it and no proxy holds it up."""
    await open_round(gateway.store, pack={"lines": "one\ntwo\r\n\u2028three"})
    async with gateway.http.get("/v1/rounds/night") as answer:
        document, tag = await answer.json(), answer.headers["ETag"]
    async with listening(gateway.port, headers='Last-Event-ID: W/"x"\r\nAccept: image/png\r\n') as stream:
        event = await stream.event()
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["cache-control"] == "no-store"
        assert stream.headers["x-accel-buffering"] == "no"
    del document["server_time"]
    assert (event.round, event.id) == (document, tag)


async def test_clients_reconnect_at_different_moments(gateway: Served) -> None:
    """Each is given a time of its own, so that those of a gateway that was restarted do not come back at once."""
    await open_round(gateway.store)
    given = set()
    for _ in range(20):
        async with listening(gateway.port) as stream:
            await stream.event()
            given |= set(stream.retries)
    assert len(given) > 3
    assert all(EVENT_RETRY_MS[0] <= retry <= EVENT_RETRY_MS[1] for retry in given)


async def test_changes_come_as_events(gateway: Served) -> None:
    """Claims, and what an operator does."""
    await open_round(gateway.store, total=2)
    async with listening(gateway.port) as stream:
        assert (await stream.event()).round["issued"] == 0
        await claimed(gateway, "ada")
        assert (await stream.event()).round["issued"] == 1
        await edited(gateway, "Another night")
        assert (await stream.event()).round["title"] == "Another night"
        await claimed(gateway, "bob")
        assert (await stream.event()).round["status"] == "sold_out"


async def test_at_most_four_events_a_second_and_each_has_news(gateway: Served) -> None:
    """However often the round changes. A client reads when it can, so only the whole time is compared."""
    await open_round(gateway.store)
    async with listening(gateway.port) as stream:
        events = [await stream.event()]

        async def edit() -> None:
            for number in itertools.count():
                await edited(gateway, f"Night {number}")

        async with asyncio.TaskGroup() as group:
            editing = group.create_task(edit())
            while len(events) < 7:
                events.append(await stream.event())
            editing.cancel()
    titles = [event.round["title"] for event in events]
    assert len(set(titles)) == len(titles)
    # The first one may have waited in the socket until the test read it.
    assert events[-1].at - events[1].at >= 4.5 * EVENT_SECONDS


async def test_a_round_opens_and_closes_by_the_clock(gateway: Served) -> None:
    """Each is an event, though nothing was written; none comes before the server would decide a claim."""
    opens_at_ms = now_ms() + 700
    await open_round(gateway.store, opens_at_ms=opens_at_ms, closes_at_ms=opens_at_ms + 700)
    async with listening(gateway.port) as stream:
        seen: list[str] = []
        while not seen or seen[-1] != "closed":
            event = await stream.event()
            seen.append(event.round["status"])
            moment = {"open": "opens_at", "closed": "closes_at"}.get(seen[-1])
            assert moment is None or now_ms() >= from_rfc3339(event.round[moment])
    assert seen == ["scheduled", "open", "closed"]


async def test_comments_come_while_nothing_changes(valkey: Server) -> None:
    """And no event is repeated."""
    async with serving.gateway(valkey.url, event_limits=OFTEN) as gateway:
        await open_round(gateway.store)
        async with listening(gateway.port) as stream:
            await stream.event()
            for _ in range(3):
                await stream.comment()
            await edited(gateway, "Another night")
            assert (await stream.event()).round["title"] == "Another night"


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_both_versions_of_http(gateway: Served, version: str) -> None:
    """A client of HTTP/1.0 gets no chunks."""
    await open_round(gateway.store)
    async with listening(gateway.port, version=version) as stream:
        assert ("transfer-encoding" in stream.headers) == (version == "1.1")
        await stream.event()
        await edited(gateway, "Another night")
        assert (await stream.event()).round["title"] == "Another night"


async def test_no_stream_for_what_is_not_there(gateway: Served) -> None:
    """404, 405 and HEAD are those of every route."""
    await open_round(gateway.store)
    async with connected(gateway.port) as raw:
        await raw.send(b"GET /v1/rounds/none/events HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await raw.answer()).document["code"] == "round_not_found"
        await raw.send(b"POST /v1/rounds/night/events HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert (await raw.answer()).document["code"] == "method_not_allowed"
        await raw.send(b"HEAD /v1/rounds/night/events HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await raw.answer(bodiless=True)
        assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
        assert await raw.has_ended()


async def test_a_round_that_is_deleted_ends_its_streams(gateway: Served) -> None:
    """Their clients reconnect and get 404, at which EventSource gives up."""
    await open_round(gateway.store)
    async with listening(gateway.port) as stream, listening(gateway.port) as other:
        await stream.event()
        await gateway.store.rounds.round_delete("night", "for a test")
        assert await stream.event_or_end() is None
        assert await stream.raw.has_ended()
        await other.event()
        assert await other.event_or_end() is None
    async with listening(gateway.port) as stream:
        assert stream.status == 404
    await open_round(gateway.store)
    async with listening(gateway.port) as stream:
        assert (await stream.event()).round["issued"] == 0


async def test_a_slow_client_gets_the_newest_state_and_costs_nothing(gateway: Served) -> None:
    """While it reads nothing, at most one event waits for it in the process; then it gets the newest state."""
    await open_round(gateway.store)
    async with full_listener(gateway) as (full, witness):
        full_at = full.number
        for _ in range(6):
            await full.change(witness)
            assert 0 < full.waiting_bytes < 6000
        assert (await full.stream.event()).round["title"] == "A night"
        titles = [0]
        while titles[-1] < full.number:
            titles.append(int((await full.stream.event()).round["title"]))
    # Of all that changed after its buffer was full, it gets the newest state only.
    assert titles == [*range(full_at + 1), full.number]
