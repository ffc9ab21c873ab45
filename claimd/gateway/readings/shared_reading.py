"""A reading of a round that many requests share, with the document that is encoded for all of them at once."""

from functools import lru_cache
from hashlib import blake2b
from typing import Final

import orjson

from claimd.domain.rounds import Round
from claimd.domain.times import to_rfc3339
from claimd.gateway.readings.server_clock import ServerClock
from claimd.http.documents import round_json
from claimd.store.ports import Reading

_ETAG_BYTES: Final = 9
_BEFORE_TIME: Final = b',"server_time":"'


class RoundDocument:
    """The JSON of a round, but for `server_time`, and the entity tag that all of it but `server_time` has.

    The tag is weak (RFC 9110, section 8.8.1): documents with one tag differ in `server_time`.
    """

    __slots__ = ("_beginning", "etag", "status")

    def __init__(self, item: Round, now_ms: int) -> None:
        self._beginning = orjson.dumps(round_json(item, now_ms)).removesuffix(b"}") + _BEFORE_TIME
        self.etag = f'W/"{blake2b(self._beginning, digest_size=_ETAG_BYTES).hexdigest()}"'
        self.status = item.status(now_ms)

    @property
    def without_time(self) -> bytes:
        """The document without `server_time`, as `contract.rounds.Round`, in one line."""
        return self._beginning.removesuffix(_BEFORE_TIME) + b"}"

    def body(self, now_ms: int) -> bytes:
        """The whole document, as `contract.rounds.RoundAnswer`, at `now_ms` of the server's clock."""
        return b'%b%b"}' % (self._beginning, _encoded_time(now_ms))


class SharedReading:
    """A reading that was sent at `read_at`, in seconds of the process's clock.

    `round` is None where there is no such round, or where it was archived; then `archived` is its stub.
    """

    __slots__ = ("_document", "_document_ms", "_server_clock", "archived", "now_ms_at_reading", "read_at", "round")

    def __init__(self, reading: Reading, read_at: float, server_clock: ServerClock) -> None:
        self.round = reading.round
        self.archived = reading.archived
        self.now_ms_at_reading = reading.now_ms
        self.read_at = read_at
        self._server_clock = server_clock
        self._document: RoundDocument | None = None
        # The moment at which the document was known to be right.
        self._document_ms = -1

    def now_ms(self) -> int:
        """The server's time now, in ms since 1970; never before the reading."""
        return max(self._server_clock.now_ms(), self.now_ms_at_reading)

    def document(self, item: Round, now_ms: int) -> RoundDocument:
        """The document of `item`, the round of this reading, at `now_ms`.

        It is encoded once, and again when the status has changed, which is derived once a millisecond.
        """
        document = self._document
        if document is None or now_ms != self._document_ms:
            if document is None or document.status is not item.status(now_ms):
                document = self._document = RoundDocument(item, now_ms)
            self._document_ms = now_ms
        return document


@lru_cache(maxsize=4)
def _encoded_time(now_ms: int) -> bytes:
    return to_rfc3339(now_ms).encode()
