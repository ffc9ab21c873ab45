"""Pages of rounds for the public, shared by all requests: a process reads one at a time, each at most every 50 ms.

Lists need no credentials, and to read one takes the server the time of fifty claims. So a page that was read within the
last 50 ms answers all requests for it, and shorter ones that begin alike; the server's time in it is that of each
answer. First pages are few. Further pages are as many as a crowd can think of cursors: they have a pace of their own,
and few of them may wait.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import orjson

from claimd.contract.limits import MAX_ROUNDS_PER_PAGE
from claimd.contract.problems import Code
from claimd.domain.times import to_rfc3339
from claimd.gateway.readings.pace import Pace
from claimd.http.documents import round_json
from claimd.http.paging import PageQuery, cursor
from claimd.http.problems import ProblemError, retry_later
from claimd.store.ports import Position, RoundReader, RoundsPage

_FRESH_SECONDS = 0.05
_FIRST_PAGES_PER_SECOND = 40
_FURTHER_PAGES_PER_SECOND = 20
_BURST = 20
_MOST_WAITING = 32


class _Page:
    """A page of full length that was read at `read_at`, in seconds of the process's clock."""

    def __init__(self, page: RoundsPage, read_at: float) -> None:
        self._page = page
        self.read_at = read_at
        # By length: the JSON up to `server_time`.
        self._encoded: dict[int, bytes] = {}

    def document(self, limit: int, now: float) -> bytes:
        """Its first `limit` rounds, as `contract.rounds.RoundPage`, at `now` of that clock."""
        encoded = self._encoded.get(limit)
        if encoded is None:
            encoded = self._encoded[limit] = self._encode(limit)
        elapsed_ms = max(0, int((now - self.read_at) * 1000))
        return b'%b,"server_time":"%b"}' % (encoded, to_rfc3339(self._page.now_ms + elapsed_ms).encode())

    def _encode(self, limit: int) -> bytes:
        rounds, following = self._page.rounds[:limit], self._page.next
        if len(rounds) < len(self._page.rounds):
            last = rounds[-1].definition
            following = Position(last.opens_at_ms, last.id)
        documents = [round_json(item, self._page.now_ms) for item in rounds]
        return orjson.dumps({"rounds": documents, "next": cursor(following)}).removesuffix(b"}")


class RoundLists:
    """The pages of one process. `clock` returns seconds that never go back."""

    def __init__(self, rounds: RoundReader, clock: Callable[[], float]) -> None:
        self._rounds = rounds
        self._clock = clock
        self._reading = asyncio.Lock()
        self._first = Pace(clock, _FIRST_PAGES_PER_SECOND, _BURST)
        self._further = Pace(clock, _FURTHER_PAGES_PER_SECOND, _BURST)
        self._pages: dict[PageQuery, _Page] = {}
        self._under_way: dict[PageQuery, asyncio.Task[_Page]] = {}

    async def document(self, asked: PageQuery) -> bytes:
        """The page as JSON, at most 50 ms old.

        Raises StoreUnavailable; ProblemError, 503, where too many different pages are waited for.
        """
        whole = replace(asked, limit=MAX_ROUNDS_PER_PAGE)
        page = self._pages.get(whole)
        if page is None or self._clock() - page.read_at >= _FRESH_SECONDS:
            page = await asyncio.shield(self._under_way.get(whole) or self._begin(whole))
        return page.document(asked.limit, self._clock())

    def _begin(self, asked: PageQuery) -> asyncio.Task[_Page]:
        is_first = asked.after is None
        if not is_first and len(self._under_way) >= _MOST_WAITING:
            raise ProblemError(retry_later(Code.OVERLOADED))
        wait_seconds = (self._first if is_first else self._further).turn()
        reading = self._under_way[asked] = asyncio.create_task(self._read(asked, wait_seconds))
        reading.add_done_callback(lambda _: self._under_way.pop(asked))
        return reading

    async def _read(self, asked: PageQuery, wait_seconds: float) -> _Page:
        await asyncio.sleep(wait_seconds)
        # One at a time: many different pages at once would delay claims.
        async with self._reading:
            read_at = self._clock()
            read = await self._rounds.rounds_page(asked.statuses, asked.after, asked.limit)
        self._pages = {key: page for key, page in self._pages.items() if read_at - page.read_at < _FRESH_SECONDS}
        page = self._pages[asked] = _Page(read, read_at)
        return page
