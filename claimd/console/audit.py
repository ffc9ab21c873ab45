"""The audit of a round, and the export of its claims as NDJSON, streamed in bounded memory."""

from dataclasses import asdict

from aiohttp import web

from claimd.audit.audit import audit_round
from claimd.audit.export import export_lines
from claimd.console.archived import in_its_archive
from claimd.console.context import CONTEXT
from claimd.console.streams import stream_ndjson
from claimd.contract.audit import AuditAnswer
from claimd.contract.problems import Code
from claimd.http.problems import reject
from claimd.http.rounds import existing_round


async def audit(request: web.Request) -> web.Response:
    """`GET /admin/v1/rounds/{id}/audit`: 200 with the audit, 404 or 410."""
    context, round_id = request.app[CONTEXT], request.match_info["round_id"]
    await existing_round(context.rounds, round_id, in_its_archive)
    result = await audit_round(context.log_reader, round_id)
    if result is None or not result.ok:
        # It may have been archived or deleted during the audit.
        await existing_round(context.rounds, round_id, in_its_archive)
    if result is None:
        raise reject(Code.ROUND_NOT_FOUND)
    answer = AuditAnswer(ok=result.ok, **asdict(result))
    return web.Response(body=answer.model_dump_json().encode(), content_type="application/json")


async def claims(request: web.Request) -> web.StreamResponse:
    """`GET /admin/v1/rounds/{id}/claims`: 200 with a line for each claim, by serial; 404 or 410."""
    context, round_id = request.app[CONTEXT], request.match_info["round_id"]
    await existing_round(context.rounds, round_id, in_its_archive)
    return await stream_ndjson(request, export_lines(context.log_reader, round_id))
