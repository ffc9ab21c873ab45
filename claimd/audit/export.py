"""The export of a round: NDJSON with a line for each claim, in the order of serials, read from the log."""

from collections.abc import AsyncIterator, Iterator, Mapping

import orjson

from claimd.domain.claims import claim_id
from claimd.domain.log import GrantsEntry
from claimd.domain.times import to_rfc3339
from claimd.store.ports import LogReader


async def export_lines(records: LogReader, round_id: str) -> AsyncIterator[bytes]:
    """The lines of one batch of grants at a time, each line with its line feed. Raises StoreUnavailable.

    A claim that was voided before the export began has `voided_at`; the others have no such member.
    """
    voided_at = {void.serial: to_rfc3339(void.voided_at_ms) async for void in records.voids(round_id)}
    async for entry in records.log(round_id):
        if isinstance(entry, GrantsEntry):
            yield b"".join(_lines(round_id, entry, voided_at))


def _lines(round_id: str, entry: GrantsEntry, voided_at: Mapping[int, str]) -> Iterator[bytes]:
    claimed_at = to_rfc3339(entry.at_ms)
    for serial, identity in enumerate(entry.split(), entry.first_serial):
        line = {
            "serial": serial,
            "id": claim_id(round_id, serial),
            "identity": identity.hex(),
            "claimed_at": claimed_at,
        }
        if serial in voided_at:
            line["voided_at"] = voided_at[serial]
        yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
