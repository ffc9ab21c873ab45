"""The file that a round is archived to: gzipped NDJSON, which is audited like a live round.

The first line has the round; then come the entries of its log, in order, its claims and its voided claims, in no order;
the last line has the number of each, so that a truncated file is noticed. `docs/production.md` describes the lines.
"""

import asyncio
import gzip
import hashlib
import io
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from pydantic import TypeAdapter, ValidationError

from claimd.audit.audit import Audit, audit_round
from claimd.domain.claims import IDENTITY_BYTES, Claim, VoidedClaim
from claimd.domain.log import EditEntry, GrantsEntry, LogEntry, VoidEntry
from claimd.domain.rounds import MAX_TOTAL, Round, is_round_id
from claimd.store.ports import LogReader, Reading

FORMAT = 2
# Without voids; claimd wrote it before there were any.
_FORMAT_WITHOUT_VOIDS = 1
SUFFIX = ".ndjson.gz"

_CHUNK_BYTES = 256 * 1024
# Identities are digests, which do not compress: level 1 takes half the time of the default level.
_LEVEL = 1
# An entry of the log has up to 512 identities: 16 KiB. An edit may have a pack and an eligibility of 16 KiB.
_MAX_LINE_BYTES = 1 << 20


class _Part(StrEnum):
    """The parts of a file behind its first line, by the names under which the last line counts their lines."""

    LOG = "log"
    CLAIMS = "claims"
    VOIDS = "voids"


_ORDER = tuple(_Part)
_LOG_ENTRIES = (GrantsEntry, EditEntry, VoidEntry)
_Record = LogEntry | tuple[bytes, Claim] | VoidedClaim

_ROUND = TypeAdapter(Round)
_EDIT = TypeAdapter(EditEntry)


class ArchiveError(Exception):
    """A file is no archive, is damaged or cannot be read; the message is a sentence that names the file."""


@dataclass(frozen=True, slots=True)
class AuditedFile:
    """The result of auditing an archive: its round, the SHA-256 of the file in hex, and the audit."""

    round: Round
    sha256: str
    audit: Audit


async def write_archive(records: LogReader, item: Round, now_ms: int, file: BinaryIO) -> None:
    """Write the archive of a round that no longer changes, in bounded memory. Raises StoreUnavailable, OSError.

    `now_ms` is the time of writing by the server's clock, for the first line.
    """
    chunk = bytearray()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=file, mtime=0) as packed:
        async for line in _written_lines(records, item, now_ms):
            chunk += line
            if len(chunk) >= _CHUNK_BYTES:
                await asyncio.to_thread(packed.write, bytes(chunk))
                chunk.clear()
        await asyncio.to_thread(packed.write, bytes(chunk))


def audit_archive(path: Path) -> AuditedFile:
    """Audit an archive like a live round; takes seconds for a million claims. Raises ArchiveError."""
    archive = ArchiveFile.open(path)
    try:
        audit = asyncio.run(audit_round(archive, archive.item.id))
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArchiveError(_unreadable(path, error)) from None
    if audit is None:
        raise ArchiveError(f"{path} has no round")
    return AuditedFile(archive.item, sha256, audit)


class ArchiveFile:
    """An archive as a `LogReader`. `claims` reads the file to its end. Raises ArchiveError for a damaged file."""

    def __init__(self, path: Path, item: Round, now_ms: int, *, without_voids: bool = False) -> None:
        self._path = path
        self.item = item
        self._now_ms = now_ms
        self._without_voids = without_voids

    @classmethod
    def open(cls, path: Path) -> "ArchiveFile":
        """Read the first line of the file. Raises ArchiveError."""
        head = next(_read_lines(path), {})
        if head.get("claimd_archive") not in (_FORMAT_WITHOUT_VOIDS, FORMAT):
            raise ArchiveError(f"{path} is no archive of claimd's, or of a later version")
        try:
            item = _ROUND.validate_python(head.get("round"))
            now_ms = int(head["written_at_ms"])
        except (ValidationError, KeyError, ValueError, TypeError):
            raise ArchiveError(f"{path} is damaged: its first line is no round") from None
        if not is_round_id(item.id) or not 0 <= item.issued <= MAX_TOTAL:
            raise ArchiveError(f"{path} is damaged: its first line is no round that there can be")
        return cls(path, item, now_ms, without_voids=head["claimd_archive"] == _FORMAT_WITHOUT_VOIDS)

    async def round(self, round_id: str) -> Reading:
        """The round as it was archived, read at the time of writing; no round for any other id."""
        return Reading(self._now_ms, self.item if round_id == self.item.id else None)

    async def log(self, round_id: str) -> AsyncIterator[LogEntry]:
        """See `LogReader.log`."""
        for record in self._records():
            if not isinstance(record, _LOG_ENTRIES) or round_id != self.item.id:
                return
            yield record

    async def claims(self, round_id: str) -> AsyncIterator[tuple[bytes, Claim]]:
        """See `LogReader.claims`."""
        for record in self._records():
            if isinstance(record, tuple) and round_id == self.item.id:
                yield record

    async def voids(self, round_id: str) -> AsyncIterator[VoidedClaim]:
        """See `LogReader.voids`."""
        for record in self._records():
            if isinstance(record, VoidedClaim) and round_id == self.item.id:
                yield record

    def _records(self) -> Iterator[_Record]:
        """The entries of the log, the claims, the voids. Raises ArchiveError where the last line has other numbers."""
        found: Counter[_Part] = Counter()
        part = _Part.LOG
        lines = _read_lines(self._path)
        next(lines)
        for number, line in enumerate(lines, 2):
            if "end" in line:
                counted = {part.value: found[part] for part in _Part}
                if not found[_Part.VOIDS] and self._without_voids:
                    del counted[_Part.VOIDS.value]
                if line["end"] != counted:
                    raise ArchiveError(f"{self._path} is damaged: lines of it are missing, or were added")
                if next(lines, None) is not None:
                    raise ArchiveError(f"{self._path} is damaged: it goes on after its end")
                return
            try:
                record = _read_record(line, self.item.id)
            except (ValidationError, KeyError, ValueError, TypeError):
                raise ArchiveError(f"{self._path} is damaged: line {number} is not understood") from None
            before, part = part, _part_of(record)
            if part is not before and _ORDER.index(part) < _ORDER.index(before):
                raise ArchiveError(f"{self._path} is damaged: line {number} is out of place")
            found[part] += 1
            yield record
        raise ArchiveError(f"{self._path} is damaged: its end is missing")


async def _written_lines(records: LogReader, item: Round, now_ms: int) -> AsyncIterator[bytes]:
    yield _spelled({"claimd_archive": FORMAT, "written_at_ms": now_ms, "round": item})
    entries = claims = voids = 0
    async for entry in records.log(item.id):
        entries += 1
        yield _spelled(_entry_json(entry))
    async for identity, claim in records.claims(item.id):
        claims += 1
        # Formatted by hand: there are millions, and orjson takes longer.
        yield b'{"identity":"%b","serial":%d,"claimed_at_ms":%d}\n' % (
            identity.hex().encode(),
            claim.serial,
            claim.claimed_at_ms,
        )
    async for void in records.voids(item.id):
        voids += 1
        yield _spelled({"voided": _void_json(void)})
    yield _spelled({"end": {_Part.LOG.value: entries, _Part.CLAIMS.value: claims, _Part.VOIDS.value: voids}})


def _entry_json(entry: LogEntry) -> dict[str, Any]:
    match entry:
        case EditEntry():
            return {"edit": entry}
        case VoidEntry():
            claim = _void_json(entry.claim)
            return {"void": {"claim": claim, "version": entry.version, "reason": entry.reason, "who": entry.who}}
        case GrantsEntry():
            identities = entry.identities.hex()
            return {"grants": {"first_serial": entry.first_serial, "at_ms": entry.at_ms, "identities": identities}}


def _void_json(void: VoidedClaim) -> dict[str, Any]:
    return {**asdict(void), "identity": void.identity.hex()}


def _spelled(document: Mapping[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines as objects. Raises ArchiveError for a file that cannot be read, unpacked or parsed."""
    try:
        # A buffer in C: the readline of gzip is Python code and takes half of the whole time.
        with gzip.open(path, "rb") as packed, io.BufferedReader(packed, _CHUNK_BYTES) as file:
            while line := file.readline(_MAX_LINE_BYTES):
                document = orjson.loads(line)
                if not isinstance(document, dict):
                    raise ArchiveError(f"{path} is no archive of claimd's")
                yield document
    except EOFError:
        raise ArchiveError(f"{path} is damaged: it was cut off") from None
    except gzip.BadGzipFile:
        raise ArchiveError(f"{path} is damaged, or is no archive of claimd's") from None
    except OSError as error:
        raise ArchiveError(_unreadable(path, error)) from None
    except (zlib.error, ValueError):
        raise ArchiveError(f"{path} is damaged: it cannot be unpacked to lines of JSON") from None


def _read_record(line: Mapping[str, Any], round_id: str) -> _Record:
    if "identity" in line:
        return _identities(line["identity"], 1), Claim(round_id, _whole(line["serial"]), _whole(line["claimed_at_ms"]))
    if "grants" in line:
        grants = line["grants"]
        identities = _identities(grants["identities"], None)
        return GrantsEntry(_whole(grants["first_serial"]), _whole(grants["at_ms"]), identities)
    if "void" in line:
        void = line["void"]
        return VoidEntry(_read_void(void["claim"]), _whole(void["version"]), str(void["reason"]), str(void["who"]))
    if "voided" in line:
        return _read_void(line["voided"])
    return _EDIT.validate_python(line["edit"])


def _read_void(fields: Mapping[str, Any]) -> VoidedClaim:
    return VoidedClaim(
        _whole(fields["serial"]),
        _identities(fields["identity"], 1),
        _whole(fields["claimed_at_ms"]),
        _whole(fields["voided_at_ms"]),
        bool(fields["barred"]),
    )


def _part_of(record: _Record) -> _Part:
    if isinstance(record, tuple):
        return _Part.CLAIMS
    return _Part.VOIDS if isinstance(record, VoidedClaim) else _Part.LOG


def _identities(text: str, count: int | None) -> bytes:
    """Packed digests from hex. Raises ValueError where there are not `count` of them; None accepts any number."""
    packed = bytes.fromhex(text)
    if len(packed) % IDENTITY_BYTES or count not in (None, len(packed) // IDENTITY_BYTES):
        raise ValueError
    return packed


def _whole(number: Any) -> int:
    if type(number) is not int:
        raise TypeError
    return number


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path} cannot be read: {error.strerror or error}"
