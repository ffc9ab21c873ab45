"""The document of a shared reading: encoded once, right at each moment."""

import orjson

from claimd.domain.rounds import FIRST_EPOCH, Round, Status
from claimd.domain.times import to_rfc3339
from claimd.gateway.readings.server_clock import ServerClock
from claimd.gateway.readings.shared_reading import RoundDocument, SharedReading
from claimd.http.documents import round_json
from claimd.store.ports import Reading
from tests.rounds import definition

OPENS_AT_MS = 1_700_000_000_000
ROUND = Round(
    definition("night", opens_at_ms=OPENS_AT_MS, closes_at_ms=OPENS_AT_MS + 1000, pack={'é"': [None]}),
    version=1,
    epoch=FIRST_EPOCH,
)


def _reading(item: Round, now_ms: int) -> SharedReading:
    return SharedReading(Reading(now_ms, item), 0.0, ServerClock(lambda: 0.0))


def test_a_document_is_that_of_the_reference() -> None:
    """Byte for byte what the encoder makes of all fields and the time."""
    for now_ms in (OPENS_AT_MS - 1, OPENS_AT_MS, OPENS_AT_MS + 1000):
        document = RoundDocument(ROUND, now_ms)
        assert document.body(now_ms) == orjson.dumps({**round_json(ROUND, now_ms), "server_time": to_rfc3339(now_ms)})


def test_the_status_changes_at_its_moment_within_one_reading() -> None:
    """A reading that was made before the opening says open at the opening, and closed at the end; tags differ."""
    reading = _reading(ROUND, OPENS_AT_MS - 20)
    at = {name: OPENS_AT_MS + ms for name, ms in (("before", -1), ("open", 0), ("last", 999), ("closed", 1000))}
    documents = {name: reading.document(ROUND, now_ms) for name, now_ms in at.items()}
    assert [document.status for document in documents.values()] == [
        Status.SCHEDULED,
        Status.OPEN,
        Status.OPEN,
        Status.CLOSED,
    ]
    assert documents["open"] is documents["last"]
    assert len({document.etag for document in documents.values()}) == 3


def test_equal_rounds_have_equal_tags_in_every_process() -> None:
    """A client that asks another worker gets 304, too; any change is another tag."""
    again = Round(ROUND.definition, version=1, epoch=FIRST_EPOCH)
    changed = Round(ROUND.definition, version=1, epoch=FIRST_EPOCH, issued=1)
    tags = [_reading(item, OPENS_AT_MS).document(item, OPENS_AT_MS).etag for item in (ROUND, again, changed)]
    assert tags[0] == tags[1] != tags[2]


def test_time_never_goes_back_behind_the_reading() -> None:
    """Where the estimate of the server's clock is behind, the reading's own time counts."""
    clock = ServerClock(lambda: 0.0)
    clock.observe(OPENS_AT_MS - 5, 0.0, 0.0)
    reading = SharedReading(Reading(OPENS_AT_MS, ROUND), 0.0, clock)
    assert reading.now_ms() == OPENS_AT_MS
