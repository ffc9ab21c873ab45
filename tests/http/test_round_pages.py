"""Lists of rounds, the same on both sides: pages, queries, and what a list costs the claims."""

import asyncio
import json
import time
from typing import Any, cast

import pytest

from claimd.contract.problems import Code
from claimd.domain.rounds import NOT_OVER
from claimd.domain.times import HOUR_MS, from_rfc3339
from claimd.gateway.round_lists import RoundLists
from claimd.http.paging import PageQuery
from claimd.http.problems import ProblemError
from claimd.store.errors import StoreUnavailable
from claimd.store.memory import MemoryStore
from claimd.store.ports import Position, RoundsPage
from tests.http.answers import good, problem
from tests.http.serving import ADMIN, Served, open_round
from tests.rounds import definition, now_ms

PUBLIC, ADMINS = "/v1/rounds", "/admin/v1/rounds"


@pytest.fixture(params=["gateway", "console"])
def side(request: pytest.FixtureRequest, gateway: Served, console: Served) -> tuple[Served, str, dict[str, str]]:
    """Who serves the list, where, and the headers it takes."""
    return (gateway, PUBLIC, {}) if request.param == "gateway" else (console, ADMINS, ADMIN)


Side = tuple[Served, str, dict[str, str]]


async def _get(side: Side, **query: Any) -> dict[str, Any]:
    served, path, headers = side
    return await good(await served.http.get(path, params=query, headers=headers))


async def _all(side: Side, **query: Any) -> list[str]:
    found: list[str] = []
    page = await _get(side, **query)
    while page["next"] is not None:
        found += [item["id"] for item in page["rounds"]]
        page = await _get(side, **query, after=page["next"])
    return found + [item["id"] for item in page["rounds"]]


async def test_a_page_has_at_most_a_hundred(side: Side) -> None:
    """By opening time; `next` leads to the rest, and is null on the last page."""
    for number in range(130):
        await open_round(side[0].store, f"r{number:03}", opens_at_ms=now_ms() - HOUR_MS + number)
    first = await _get(side)
    assert first.keys() == {"rounds", "next", "server_time"}
    assert [item["id"] for item in first["rounds"]] == [f"r{number:03}" for number in range(100)]
    second = await _get(side, after=first["next"])
    assert [item["id"] for item in second["rounds"]] == [f"r{number:03}" for number in range(100, 130)]
    assert second["next"] is None
    assert await _all(side, limit=9) == [f"r{number:03}" for number in range(130)]


async def test_closed_rounds_are_listed_by_status(side: Side) -> None:
    """By default what is not over; `?status=` for one status, `all` for every round."""
    await open_round(side[0].store, "open")
    await open_round(side[0].store, "later", opens_at_ms=now_ms() + HOUR_MS // 2)
    await open_round(side[0].store, "ended", opens_at_ms=1000, closes_at_ms=2000)
    assert await _all(side) == ["open", "later"]
    assert await _all(side, status="scheduled") == ["later"]
    assert await _all(side, status="closed") == ["ended"]
    assert await _all(side, status="all") == ["ended", "open", "later"]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("page=2", "page"),
        ("Status=open", "Status"),
        ("status=", "status"),
        ("status=over", "status"),
        ("status=open,closed", "status"),
        ("status=open&status=closed", "status"),
        ("after=", "after"),
        ("after=r1", "after"),
        ("after=12-", "after"),
        ("after=-5-r1", "after"),
        ("after=12-No", "after"),
        ("after=999999999999999-r1", "after"),
        ("after=%D9%A1-r1", "after"),
        ("after=1-r1%0A", "after"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.0", "limit"),
        ("limit=%D9%A1", "limit"),
    ],
)
async def test_unknown_queries_are_problems(side: Side, query: str, named: str) -> None:
    """400 on both sides, with the parameter's name."""
    served, path, headers = side
    document = await problem(await served.http.get(f"{path}?{query}", headers=headers), 400, "bad_request")
    assert document["field"] == named
    assert named in document["detail"]


class Counting(MemoryStore):
    """How often the list was read; may be made to wait, or to fail."""

    def __init__(self) -> None:
        super().__init__(now_ms)
        self.pages_read = 0
        self.under_way = 0
        self.most_at_once = 0
        self.fails = False

    async def rounds_page(self, *asked: Any) -> RoundsPage:
        """Counted."""
        self.pages_read += 1
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        if self.fails:
            raise StoreUnavailable("away")
        return await super().rounds_page(*asked)


async def test_concurrent_requests_share_one_reading_of_a_list() -> None:
    """Whatever the crowd: a page is read once in 50 ms, and different pages one after the other."""
    store, clock = Counting(), [10.0]
    lists = RoundLists(store, lambda: clock[0])
    await store.round_create(definition(), "")
    documents = await asyncio.gather(*(lists.document(PageQuery()) for _ in range(50)))
    assert len(set(documents)) == store.pages_read == 1
    clock[0] += 0.03125
    later = await lists.document(PageQuery())
    assert store.pages_read == 1
    times = [from_rfc3339(document[-26:-2].decode()) for document in (documents[0], later)]
    assert times[1] - times[0] == 31
    clock[0] += 0.01875
    await lists.document(PageQuery())
    assert store.pages_read == 2
    await asyncio.gather(*(lists.document(PageQuery(limit=limit)) for limit in range(1, 30)))
    assert store.pages_read == 2
    await asyncio.gather(*(lists.document(PageQuery(after=Position(at, "r1"))) for at in range(18)))
    assert (store.pages_read, store.most_at_once) == (20, 1)


async def test_shorter_pages_are_the_beginning_of_longer_ones() -> None:
    """Each has the cursor of its own end, and pages that follow it have the rest."""
    store = MemoryStore(now_ms)
    for number in range(5):
        await store.round_create(definition(f"r{number}"), "")
    lists = RoundLists(store, time.monotonic)
    for limit in (1, 2, 4, 5, 6):
        found, after = list[str](), cast(Position | None, None)
        while True:
            page = json.loads(await lists.document(PageQuery(after=after, limit=limit)))
            assert len(page["rounds"]) <= limit
            found += [item["id"] for item in page["rounds"]]
            if page["next"] is None:
                break
            opens_at, _, round_id = page["next"].partition("-")
            after = Position(int(opens_at), round_id)
        assert found == [f"r{number}" for number in range(5)]


async def test_pages_of_many_cursors_are_rejected_and_the_first_page_is_served() -> None:
    """A crowd with a cursor each costs the server twenty readings a second, and does not delay a first page."""
    store = Counting()
    lists = RoundLists(store, time.monotonic)
    began = time.monotonic()
    asked = [lists.document(PageQuery(after=Position(at, "r1"))) for at in range(200)]
    crowd = asyncio.gather(*asked, return_exceptions=True)
    first = await lists.document(PageQuery())
    assert first.startswith(b'{"rounds":[]')
    assert store.pages_read <= 22
    answers = await crowd
    rejected = [answer for answer in answers if isinstance(answer, ProblemError)]
    assert {error.problem.code for error in rejected} == {Code.OVERLOADED}
    # The first page may be among the 32 that are waited for.
    assert len(rejected) in (168, 169)
    assert store.pages_read <= 1 + 20 + 20 * (time.monotonic() - began) + 1


async def test_a_list_that_could_not_be_read_is_read_again() -> None:
    """All concurrent requests get the error; the next one gets the list."""
    store = Counting()
    lists = RoundLists(store, lambda: 0.0)
    store.fails = True
    told = await asyncio.gather(*(lists.document(PageQuery(NOT_OVER)) for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in told] == [StoreUnavailable] * 3
    store.fails = False
    assert (await lists.document(PageQuery(NOT_OVER))).startswith(b'{"rounds":[]')
