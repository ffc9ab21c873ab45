"""`POST /admin/v1/rounds/{id}/archive`: writes a closed round to a file and removes it from the server, but for a stub.

Nothing is removed before the file is on disk and its audit, read back from there, is clean. A retry is safe.
"""

import logging
from dataclasses import asdict, dataclass

import orjson
from aiohttp import web

from claimd.audit.archive_file import ArchiveError
from claimd.console.archive_folder import ArchiveFolder, FolderBusy
from claimd.console.bodies import validated
from claimd.console.conditions import wanted_version
from claimd.console.context import CONTEXT, Context
from claimd.contract import details
from claimd.contract.edits import Reason
from claimd.contract.problems import Code
from claimd.domain.archived import Archived
from claimd.domain.outcomes import EditOutcome
from claimd.domain.rounds import NOT_OVER, Round, Status, is_round_id
from claimd.domain.times import to_rfc3339
from claimd.http.bodies import read_object
from claimd.http.documents import archived_json
from claimd.http.problems import ProblemError, reject
from claimd.store.errors import StoreRejected, StoreUnavailable
from claimd.store.ports import Reading

# A rewrite of the embedded server's file takes seconds and competes for the disk: none begins so shortly before a drop.
_QUIET_MS = 600_000

_log = logging.getLogger(__name__)


async def archive(request: web.Request) -> web.Response:
    """200 with the file, its digest and what was in it, also where the round was archived before."""
    context, round_id = request.app[CONTEXT], request.match_info["round_id"]
    body, version = validated(Reason, await read_object(request)), wanted_version(request)
    reading = await context.rounds.round(round_id) if is_round_id(round_id) else Reading(0, None)
    if reading.archived is not None:
        # A retry: with CLAIMD_DURABILITY=replica this waits again for the replica's confirmation.
        archived = await _stub(context, round_id, _FileContents(0, 0, 0, "", ""), body.reason)
    else:
        item = _closed(reading, version)
        archived = await _to_file(context, item, reading.now_ms, body.reason)
    document = {**archived_json(archived), "rewrite": await _rewrite(context)}
    return web.Response(body=orjson.dumps(document), content_type="application/json")


@dataclass(frozen=True, slots=True)
class _FileContents:
    """What an archive file holds: the script compares it with the round before it removes anything."""

    version: int
    issued: int
    voided: int
    sha256: str
    file: str


def _closed(reading: Reading, if_version: int | None) -> Round:
    item = reading.round
    if item is None:
        raise reject(Code.ROUND_NOT_FOUND)
    if if_version not in (None, item.version):
        detail = details.AT_VERSION(version=item.version)
        raise reject(Code.VERSION_MISMATCH, detail, version=item.version)
    status = item.status(reading.now_ms)
    if status is not Status.CLOSED:
        closes_at = to_rfc3339(item.definition.closes_at_ms)
        detail = details.CLOSE_THEN_ARCHIVE(status=details.IN_STATUS[status](), closes_at=closes_at)
        raise reject(Code.NOT_CLOSED, detail, closes_at=closes_at)
    return item


async def _to_file(context: Context, item: Round, now_ms: int, reason: str) -> Archived:
    try:
        async with ArchiveFolder(context.archive_dir).file(context.log_reader, item, now_ms) as file:
            if not file.audit.ok:
                audit = {"ok": False, **asdict(file.audit)}
                raise reject(Code.AUDIT_FAILED, details.SEE_AUDIT(), audit=audit)
            path = file.place()
            try:
                contents = _FileContents(item.version, item.issued, item.voided, file.sha256, str(path))
                archived = await _stub(context, item.id, contents, reason)
            except (ProblemError, StoreRejected):
                file.withdraw()
                raise
            # Where the outcome of the call is unknown, the file stays: the round may have left for it.
            if archived.file != str(path):
                # Another request archived it meanwhile, to another file.
                file.withdraw()
            return archived
    except FolderBusy:
        raise reject(Code.ARCHIVING) from None
    except OSError as error:
        detail = details.FOLDER_NOT_WRITABLE(folder=context.archive_dir, library=error.strerror)
        raise reject(Code.ARCHIVE_FAILED, detail) from None
    except ArchiveError as error:
        raise reject(Code.ARCHIVE_FAILED, details.FILE_NOT_GOOD(library=error)) from None


async def _stub(context: Context, round_id: str, contents: _FileContents, reason: str) -> Archived:
    """Replace the round by a stub on the server. Raises ProblemError: 404, 409 or 412."""
    edited = await context.rounds.round_archive(
        round_id,
        version=contents.version,
        issued=contents.issued,
        voided=contents.voided,
        sha256=contents.sha256,
        file=contents.file,
        reason=reason,
    )
    if edited.outcome is EditOutcome.DONE and edited.archived is not None:
        return edited.archived
    if edited.outcome is EditOutcome.ROUND_NOT_FOUND:
        raise reject(Code.ROUND_NOT_FOUND)
    if edited.outcome is EditOutcome.NOT_CLOSED:
        raise reject(Code.NOT_CLOSED, details.NOT_OVER_YET())
    version = edited.round.version if edited.round else 0
    raise reject(Code.VERSION_MISMATCH, details.EDITED_MEANWHILE(), version=version)


async def _rewrite(context: Context) -> str | None:
    """Have the embedded server rewrite its file with what it still holds: `started`, `postponed` or `failed`.

    It is postponed to the next archiving where a round is open or opens soon. None for an external server, whose
    operator decides when it rewrites its file.
    """
    if not context.embedded:
        return None
    try:
        # In order of opening time: if the first is not close, none is.
        page = await context.rounds.rounds_page(NOT_OVER, None, 1)
        if any(_is_on(item, page.now_ms) for item in page.rounds):
            return "postponed"
        await context.file_rewriter.rewrite_file()
    except StoreUnavailable as error:
        # The round has left the server; only the file is not smaller yet.
        _log.warning("the server's append-only file is not rewritten: %s", error)
        return "failed"
    return "started"


def _is_on(item: Round, now_ms: int) -> bool:
    return item.status(now_ms) is not Status.CLOSED and item.definition.opens_at_ms <= now_ms + _QUIET_MS
