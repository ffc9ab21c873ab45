"""The export of a round: NDJSON with a line for each claim, in the order of serials, read from the log."""

from collections.abc import AsyncIterator, Iterator

import orjson

from claimd.domain.claims import claim_id
from claimd.domain.log import GrantsEntry
from claimd.domain.times import to_rfc3339
from claimd.store.ports import LogReader


async def export_lines(records: LogReader, round_id: str) -> AsyncIterator[bytes]:
    """The lines of one batch of grants at a time, each line with its line feed. Raises StoreUnavailable."""
    async for entry in records.log(round_id):
        if isinstance(entry, GrantsEntry):
            yield b"".join(_lines(round_id, entry))


def _lines(round_id: str, entry: GrantsEntry) -> Iterator[bytes]:
    claimed_at = to_rfc3339(entry.at_ms)
    for serial, identity in enumerate(entry.split(), entry.first_serial):
        line = {
            "serial": serial,
            "id": claim_id(round_id, serial),
            "identity": identity.hex(),
            "claimed_at": claimed_at,
        }
        yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
