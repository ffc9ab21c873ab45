"""The records of a round in Redis or Valkey, page by page in bounded memory: its log, and all of its claims."""

from collections.abc import AsyncIterator

from redis.asyncio import Redis

from claimd.domain.claims import Claim, VoidedClaim
from claimd.domain.log import LogEntry
from claimd.store.errors import StoreUnavailable
from claimd.store.ports import Reading, RoundReader
from claimd.store.redis import keys
from claimd.store.redis.codec import claim_of, read_entry, read_voided
from claimd.store.redis.errors import translated_errors
from claimd.store.redis.replies import awaited

_LOG_PAGE = 200
_SCAN_PAGE = 1000


class RedisLog:
    """Implements `LogReader`."""

    def __init__(self, reads: Redis, rounds: RoundReader) -> None:
        self._reads = reads
        self._rounds = rounds

    async def round(self, round_id: str) -> Reading:
        """See `LogReader.round`."""
        return await self._rounds.round(round_id)

    async def log(self, round_id: str) -> AsyncIterator[LogEntry]:
        """See `LogReader.log`."""
        key = keys.of_round(round_id).log
        with translated_errors():
            newest = await awaited(self._reads.xrevrange(key, count=1))
        if not newest:
            return
        end, start = newest[0][0], b"-"
        while True:
            with translated_errors():
                page = await awaited(self._reads.xrange(key, min=start, max=end, count=_LOG_PAGE))
            for _, fields in page:
                entry = read_entry(round_id, fields)
                if entry is not None:
                    yield entry
            if page and page[-1][0] == end:
                return
            if not page:
                # Archived meanwhile. A part must never be taken for the whole.
                raise StoreUnavailable("the log was removed while it was read")
            start = b"(" + page[-1][0]

    async def claims(self, round_id: str) -> AsyncIterator[tuple[bytes, Claim]]:
        """See `LogReader.claims`."""
        async for page in self._scan(keys.of_round(round_id).claims):
            for identity, value in page.items():
                claim = claim_of(round_id, value)
                # Serial 0 stands for a person who is barred, and holds none.
                if claim.serial:
                    yield identity, claim

    async def voids(self, round_id: str) -> AsyncIterator[VoidedClaim]:
        """See `LogReader.voids`."""
        async for page in self._scan(keys.of_round(round_id).voids):
            for serial, value in page.items():
                yield read_voided(serial, value)

    async def _scan(self, key: str) -> AsyncIterator[dict[bytes, bytes]]:
        cursor = 0
        while True:
            with translated_errors():
                cursor, page = await awaited(self._reads.hscan(key, cursor, count=_SCAN_PAGE))
            yield page
            if cursor == 0:
                return
