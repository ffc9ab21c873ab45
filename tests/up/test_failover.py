"""A primary dies under a gateway, and its replica takes its place: which acknowledged claims are there afterwards.

Each test runs with durability `local`, to show that a claim can be lost, and with `replica`, which must prevent that.
"""

import asyncio
import itertools
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from claimd.audit.audit import audit_round
from claimd.identity.keys import Keys
from claimd.identity.passes import Passes
from tests.conftest import Pair
from tests.patience import patient_store
from tests.rounds import definition, identity
from tests.servers import Server, free_port
from tests.up.alone import ADMIN_TOKEN, SECRET, alone
from tests.up.running import eventually

CROWD = 100
FOREVER_MS = 2**42

# The serials that were acknowledged to each person.
Acknowledged = dict[int, set[int]]


def post(url: str, authorization: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    """Send a POST; returns status and JSON document."""
    headers = {"Authorization": authorization, "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode() if body else b"", headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def pass_of(person: int) -> str:
    """The value of the Authorization header for a person."""
    return f"Pass {Passes(Keys.derive(SECRET.encode()).pass_key).issue_pass('r1', identity(person), FOREVER_MS)}"


async def make_round(url: str) -> None:
    """Create a round that cannot sell out."""
    store = patient_store(url)
    await store.rounds.round_create(definition(total=2**31), "")
    await store.close()


async def claims_on(server: Server) -> tuple[dict[int, int], bool]:
    """The serial of each person on that server, and whether the round passes its audit."""
    store = patient_store(server.url)
    held = {int.from_bytes(person, "big"): claim.serial async for person, claim in store.log_reader.claims("r1")}
    checked = await audit_round(store.log_reader, "r1")
    await store.close()
    return held, checked is not None and checked.ok


@pytest.mark.parametrize("durability", ["local", "replica"])
def test_a_claim_that_only_the_primary_has_dies_with_it(pair: Pair, tmp_path: Path, durability: str) -> None:
    """With `local` it was acknowledged nevertheless; with `replica` it was not, and a retry yields one that stays."""
    asyncio.run(make_round(pair.url))
    with alone("gateway", tmp_path, pair.url, durability) as gateway, ExitStack() as stack:
        claims = f"{gateway.address}/v1/rounds/r1/claims"
        assert post(claims, pass_of(1))[0] == 201
        pair.cut()
        status, answer = post(claims, pass_of(2))
        assert (status, answer.get("code")) == ((201, None) if durability == "local" else (503, "unavailable"))
        pair.fail_over()
        assert asyncio.run(claims_on(pair.replica)) == ({1: 1}, True)
        add_replica(pair.replica, stack)
        status = eventually(lambda: s if (s := post(claims, pass_of(2))[0]) < 300 else None, "a claim")
        assert status in (200, 201)
        assert asyncio.run(claims_on(pair.replica)) == ({1: 1, 2: 2}, True)


@pytest.mark.parametrize("durability", ["local", "replica"])
def test_no_acknowledged_claim_is_missing_after_a_failover_under_load(
    pair: Pair, tmp_path: Path, durability: str
) -> None:
    """With `replica`; with `local` the same drop loses claims that were acknowledged after the replica was cut off."""
    asyncio.run(make_round(pair.url))
    with alone("gateway", tmp_path, pair.url, durability) as gateway, ExitStack() as stack:
        acknowledged: Acknowledged = {}

        def fail_over() -> dict[int, int]:
            eventually(lambda: len(acknowledged) >= CROWD, "claims before")
            pair.cut()
            cut_at = issued_on(pair.primary)
            if durability == "local":
                eventually(lambda: len(acknowledged) > cut_at + CROWD // 4, "claims that only the primary has")
            else:
                # No claim is acknowledged any more: each person of the crowd waits for one that was not confirmed.
                eventually(lambda: issued_on(pair.primary) >= len(acknowledged) + CROWD // 2, "unconfirmed grants")
            pair.fail_over()
            # A copy is made in one step; a list of the items is not, and the other thread goes on.
            before = {person: min(serials) for person, serials in acknowledged.copy().items()}
            add_replica(pair.replica, stack)
            return before

        before = asyncio.run(drop(f"{gateway.address}/v1/rounds/r1/claims", acknowledged, fail_over))
        held, ok = asyncio.run(claims_on(pair.replica))
    assert ok
    lost = {person for person, serial in before.items() if held.get(person) != serial}
    assert bool(lost) == (durability == "local")
    if durability == "replica":
        assert acknowledged == {person: {serial} for person, serial in held.items()}


def test_an_edit_is_acknowledged_once_a_replica_has_it(pair: Pair, tmp_path: Path) -> None:
    """A pause that a failover could undo is answered 503; a retry when the replica is back succeeds."""
    asyncio.run(make_round(pair.url))
    with alone("console", tmp_path, pair.url, "replica") as console:

        def pause() -> tuple[int, dict[str, Any]]:
            return post(f"{console.address}/admin/v1/rounds/r1/pause", f"Bearer {ADMIN_TOKEN}", {"reason": "stop"})

        pair.replica.freeze()
        status, answer = pause()
        assert (status, answer["code"]) == (503, "unavailable")
        pair.replica.thaw()
        assert eventually(lambda: a if (a := pause())[0] == 200 else None, "a pause")[1]["paused"]


def add_replica(primary: Server, stack: ExitStack) -> None:
    """Give the new primary a replica, without which it cannot acknowledge anything with `replica`."""
    server = Server.started(primary.kind, free_port())
    stack.callback(server.end)
    server.replicate(primary)


def issued_on(server: Server) -> int:
    """How many claims the server has granted."""
    with server.client() as client:
        return int(client.hget("claimd:1:{r1.0}:round:r1", "issued") or 0)


async def drop(claims: str, acknowledged: Acknowledged, disaster: Callable[[], dict[int, int]]) -> dict[int, int]:
    """Claim for one person after the other until the disaster is over; retry each claim until it is acknowledged."""
    people, over = itertools.count(), asyncio.Event()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CROWD)) as session:
        crowd = [asyncio.create_task(_claim(session, claims, people, over, acknowledged)) for _ in range(CROWD)]
        try:
            before = await asyncio.to_thread(disaster)
        except BaseException:
            # Without a server they would retry for ever.
            for person in crowd:
                person.cancel()
            raise
        over.set()
        await asyncio.gather(*crowd)
        return before


async def _claim(
    session: aiohttp.ClientSession, claims: str, people: Iterator[int], over: asyncio.Event, acknowledged: Acknowledged
) -> None:
    for person in people:
        while True:
            async with session.post(claims, headers={"Authorization": pass_of(person)}) as answer:
                status, document = answer.status, await answer.json(content_type=None)
            if status < 300:
                acknowledged.setdefault(person, set()).add(document["claim"]["serial"])
                break
            assert status in (429, 503), document
            # An earlier retry would count as too many requests.
            await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))
        if over.is_set():
            return
