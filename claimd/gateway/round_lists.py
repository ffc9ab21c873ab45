"""Pages of rounds for the public, shared by all who ask: a process reads one at a time, each at most 20 times a second.

Lists need no credentials, and to read one takes the time of fifty claims. So a page that was read within the last 50 ms
serves all requests for it; the server's time in it is that of each request.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from claimd.domain.times import from_rfc3339, to_rfc3339
from claimd.http.paging import Asked
from claimd.http.rounds import read_rounds
from claimd.store.ports import RoundReader

_FRESH_SECONDS = 0.05

# When it was read, in seconds of the clock; the server's time then, in milliseconds; the JSON before that time.
_Page = tuple[float, int, bytes]


class RoundLists:
    """The pages of one process. `clock` gives seconds that never go back."""

    def __init__(self, rounds: RoundReader, clock: Callable[[], float]) -> None:
        self._rounds = rounds
        self._clock = clock
        self._reading = asyncio.Lock()
        self._pages: dict[Asked, _Page] = {}
        self._under_way: dict[Asked, asyncio.Task[_Page]] = {}

    async def document(self, asked: Asked) -> bytes:
        """The page as JSON, as it was at most 50 ms before it is sent. Raises StoreUnavailable."""
        page = self._pages.get(asked)
        if page is None or self._clock() - page[0] >= _FRESH_SECONDS:
            page = await asyncio.shield(self._under_way.get(asked) or self._begin(asked))
        read_at, now_ms, beginning = page
        elapsed_ms = max(0, int((self._clock() - read_at) * 1000))
        return b'%b,"server_time":"%b"}' % (beginning, to_rfc3339(now_ms + elapsed_ms).encode())

    def _begin(self, asked: Asked) -> asyncio.Task[_Page]:
        reading = self._under_way[asked] = asyncio.create_task(self._read(asked))
        reading.add_done_callback(lambda _: self._under_way.pop(asked))
        return reading

    async def _read(self, asked: Asked) -> _Page:
        # Different pages cannot be shared; one at a time, they do not crowd out claims either.
        async with self._reading:
            read_at = self._clock()
            document: dict[str, Any] = await read_rounds(self._rounds, asked)
        self._pages = {key: page for key, page in self._pages.items() if read_at - page[0] < _FRESH_SECONDS}
        now_ms = from_rfc3339(document.pop("server_time"))
        page = self._pages[asked] = (read_at, now_ms, orjson.dumps(document).removesuffix(b"}"))
        return page
