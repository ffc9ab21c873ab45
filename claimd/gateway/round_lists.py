"""Pages of rounds for the public, shared by all requests: a process reads one at a time, each at most every 50 ms.

Lists need no credentials, and to read one takes the server the time of fifty claims. So a page that was read within the
last 50 ms answers all requests for it; the server's time in it is that of each answer.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from claimd.domain.times import from_rfc3339, to_rfc3339
from claimd.http.paging import PageQuery
from claimd.http.rounds import read_rounds
from claimd.store.ports import RoundReader

_FRESH_SECONDS = 0.05

# When the page was read, in seconds of `clock`; the server's time then, in ms; the JSON up to `server_time`.
_Page = tuple[float, int, bytes]


class RoundLists:
    """The pages of one process. `clock` returns seconds that never go back."""

    def __init__(self, rounds: RoundReader, clock: Callable[[], float]) -> None:
        self._rounds = rounds
        self._clock = clock
        self._reading = asyncio.Lock()
        self._pages: dict[PageQuery, _Page] = {}
        self._under_way: dict[PageQuery, asyncio.Task[_Page]] = {}

    async def document(self, asked: PageQuery) -> bytes:
        """The page as JSON, at most 50 ms old. Raises StoreUnavailable."""
        page = self._pages.get(asked)
        if page is None or self._clock() - page[0] >= _FRESH_SECONDS:
            page = await asyncio.shield(self._under_way.get(asked) or self._begin(asked))
        read_at, now_ms, beginning = page
        elapsed_ms = max(0, int((self._clock() - read_at) * 1000))
        return b'%b,"server_time":"%b"}' % (beginning, to_rfc3339(now_ms + elapsed_ms).encode())

    def _begin(self, asked: PageQuery) -> asyncio.Task[_Page]:
        reading = self._under_way[asked] = asyncio.create_task(self._read(asked))
        reading.add_done_callback(lambda _: self._under_way.pop(asked))
        return reading

    async def _read(self, asked: PageQuery) -> _Page:
        # One at a time: many different pages at once would delay claims.
        async with self._reading:
            read_at = self._clock()
            document: dict[str, Any] = await read_rounds(self._rounds, asked)
        self._pages = {key: page for key, page in self._pages.items() if read_at - page[0] < _FRESH_SECONDS}
        now_ms = from_rfc3339(document.pop("server_time"))
        page = self._pages[asked] = (read_at, now_ms, orjson.dumps(document).removesuffix(b"}"))
        return page
