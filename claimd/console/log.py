"""`GET /admin/v1/rounds/{id}/log`: every creation, edit and deletion of a round and every void, in order, as NDJSON."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
from aiohttp import web

from claimd.console.archived import in_its_archive
from claimd.console.context import CONTEXT
from claimd.console.streams import stream_ndjson
from claimd.domain.claims import claim_id
from claimd.domain.log import VOID, EditEntry, VoidEntry
from claimd.domain.times import to_rfc3339
from claimd.http.rounds import existing_round
from claimd.store.fields import field_values
from claimd.store.ports import LogReader


async def log(request: web.Request) -> web.StreamResponse:
    """200 with a line for each edit, as `contract.rounds.LogLine`; 404 or 410."""
    context, round_id = request.app[CONTEXT], request.match_info["round_id"]
    await existing_round(context.rounds, round_id, in_its_archive)
    return await stream_ndjson(request, _lines(context.log_reader, round_id))


async def _lines(log_reader: LogReader, round_id: str) -> AsyncIterator[bytes]:
    async for entry in log_reader.log(round_id):
        if isinstance(entry, EditEntry):
            yield orjson.dumps(edit_json(entry), option=orjson.OPT_APPEND_NEWLINE)
        elif isinstance(entry, VoidEntry):
            yield orjson.dumps(void_json(round_id, entry), option=orjson.OPT_APPEND_NEWLINE)


def edit_json(entry: EditEntry) -> dict[str, Any]:
    """One edit as JSON; `fields` has the names and forms of the API, `action` is null where it was not recorded."""
    values = field_values(entry.fields)
    fields = {
        name.removesuffix("_ms"): to_rfc3339(value) if name.endswith("_ms") else value for name, value in values.items()
    }
    return {
        "at": to_rfc3339(entry.at_ms),
        "version": entry.version,
        "who": entry.who,
        "action": entry.action or None,
        "reason": entry.reason,
        "fields": fields,
    }


def void_json(round_id: str, entry: VoidEntry) -> dict[str, Any]:
    """One void as JSON; it does not change the version of the round."""
    return {
        "at": to_rfc3339(entry.claim.voided_at_ms),
        "version": entry.version,
        "who": entry.who,
        "action": VOID,
        "reason": entry.reason,
        "fields": {"claim": claim_id(round_id, entry.claim.serial), "barred": entry.claim.barred},
    }
