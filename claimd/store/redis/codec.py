"""How rounds, claims and log entries are spelled on the server: replies of scripts and commands as values of claimd."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import orjson

from claimd.domain.archived import Archived
from claimd.domain.claims import IDENTITY_BYTES, Claim, VoidedClaim
from claimd.domain.log import ADMIN, EditEntry, GrantsEntry, LogEntry, VoidEntry
from claimd.domain.outcomes import Decision, Outcome
from claimd.domain.rounds import Definition, Round
from claimd.store.errors import StoreUnavailable

_LEFT_OF_DELETED = frozenset({b"version", b"epoch"})
_HEAD_OF_DECISIONS = 4


def read_pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    """A flat reply of field, value, field, value … as a mapping."""
    return {flat[i]: flat[i + 1] for i in range(0, len(flat), 2)}


def read_round(fields: Mapping[bytes, bytes]) -> Round | None:
    """The round of a reply to HGETALL; None for an empty reply, and for the version and epoch of a deleted round.

    Raises KeyError, ValueError or TypeError where the fields are no round.
    """
    if fields.keys() <= _LEFT_OF_DELETED:
        return None

    def number(name: bytes) -> int:
        return int(fields.get(name, b"0"))

    return Round(
        definition=Definition(
            id=fields[b"id"].decode(),
            title=fields[b"title"].decode(),
            total=int(fields[b"total"]),
            opens_at_ms=number(b"opens_at_ms"),
            closes_at_ms=number(b"closes_at_ms"),
            pack=orjson.loads(fields[b"pack"]),
            eligibility=orjson.loads(fields[b"eligibility"]),
        ),
        issued=number(b"issued"),
        paused=fields[b"paused"] == b"1",
        closed=fields[b"closed"] == b"1",
        version=number(b"version"),
        last_grant_ms=number(b"last_grant_ms"),
        # Rounds of the first version have neither.
        epoch=number(b"epoch"),
        window_lifted_ms=number(b"window_lifted_ms"),
        voided=number(b"voided"),
    )


def read_archived(fields: Mapping[bytes, bytes]) -> Archived | None:
    """The stub of a reply to HGETALL; None where the round was not archived. Raises as `read_round`."""
    if b"archived" not in fields:
        return None
    return Archived(
        id=fields[b"id"].decode(),
        title=fields[b"title"].decode(),
        total=int(fields[b"total"]),
        issued=int(fields[b"issued"]) - int(fields.get(b"voided", b"0")),
        version=int(fields[b"version"]),
        file=fields[b"archive_file"].decode(),
        sha256=fields[b"archived"].decode(),
        at_ms=int(fields[b"archived_at_ms"]),
        who=fields[b"archived_by"].decode(),
        reason=fields[b"archive_reason"].decode(),
    )


def read_claim(value: bytes) -> tuple[int, int]:
    """The serial and the time of a claim, from `serial:claimed_at_ms`; serial 0 stands for a person who is barred."""
    serial, _, claimed_at_ms = value.partition(b":")
    return int(serial), int(claimed_at_ms)


def read_voided(serial: bytes, value: bytes) -> VoidedClaim:
    """The voided claim that `value` spells: identity digest, then `claimed_at_ms:voided_at_ms:barred`."""
    claimed_at_ms, voided_at_ms, barred = value[IDENTITY_BYTES:].split(b":")
    return VoidedClaim(int(serial), value[:IDENTITY_BYTES], int(claimed_at_ms), int(voided_at_ms), barred == b"1")


def claim_of(round_id: str, value: bytes) -> Claim:
    """The claim that `value` spells."""
    return Claim(round_id, *read_claim(value))


def read_decisions(reply: list[Any], count: int) -> list[Decision]:
    """The decisions on `count` claims from what claim.lua replied. Raises StoreUnavailable for another number."""
    now_ms, refusal_word, opens_at_ms, epoch = islice(reply, _HEAD_OF_DECISIONS)
    refusal = Decision(Outcome(refusal_word.decode()), now_ms=now_ms, opens_at_ms=opens_at_ms, epoch=epoch)
    if refusal.outcome in (Outcome.ROUND_NOT_FOUND, Outcome.ARCHIVED):
        return [refusal] * count
    if len(reply) != count + _HEAD_OF_DECISIONS:
        raise StoreUnavailable(f"claim.lua answered {len(reply) - _HEAD_OF_DECISIONS} claims of {count}")
    granted = Outcome.GRANTED
    return [
        (Decision(granted, item, now_ms, now_ms) if item else refusal)
        if type(item) is int
        else _held(item, now_ms, Outcome.BARRED)
        for item in islice(reply, _HEAD_OF_DECISIONS, None)
    ]


def read_found(reply: list[Any], count: int) -> list[Decision]:
    """The claims of `count` identities that claims_find.lua found. Raises StoreUnavailable for another number."""
    now_ms, absence_word, *items = reply
    absence = Decision(Outcome(absence_word.decode()), now_ms=now_ms)
    if absence.outcome is not Outcome.NOT_CLAIMED:
        return [absence] * count
    if len(items) != count:
        raise StoreUnavailable(f"claims_find.lua answered {len(items)} lookups of {count}")
    return [_held(item, now_ms, Outcome.NOT_CLAIMED) if item else absence for item in items]


def _held(value: bytes, now_ms: int, if_barred: Outcome) -> Decision:
    serial, claimed_at_ms = read_claim(value)
    if serial:
        return Decision(Outcome.REPLAYED, serial, claimed_at_ms, now_ms)
    return Decision(if_barred, now_ms=now_ms)


def edit_arguments(fields: Mapping[str, str]) -> Iterator[str | bytes]:
    """The fields as one JSON object for the log, then name, value, name, value … for the round's hash."""
    yield orjson.dumps(fields)
    for pair in fields.items():
        yield from pair


def version_text(version: int | None) -> str:
    """The version that an edit wants, empty for any."""
    return "" if version is None else str(version)


def read_entry(round_id: str, fields: Mapping[bytes, bytes]) -> LogEntry | None:
    """An entry of the log; None for the entry of another round that shares the log."""
    kind, about = next(iter(fields.items()))
    return _ENTRY_READERS[kind](fields) if about == round_id.encode() else None


def _read_grants(fields: Mapping[bytes, bytes]) -> LogEntry:
    return GrantsEntry(int(fields[b"first"]), int(fields[b"at_ms"]), fields[b"identities"])


def _read_edit(fields: Mapping[bytes, bytes]) -> LogEntry:
    return EditEntry(
        version=int(fields[b"version"]),
        at_ms=int(fields[b"at_ms"]),
        reason=fields[b"reason"].decode(),
        fields=orjson.loads(fields[b"fields"]),
        # Entries of the first version have neither.
        action=fields.get(b"action", b"").decode(),
        who=fields.get(b"who", ADMIN.encode()).decode(),
    )


def _read_void(fields: Mapping[bytes, bytes]) -> LogEntry:
    return VoidEntry(
        claim=read_voided(fields[b"serial"], fields[b"claim"]),
        version=int(fields[b"version"]),
        reason=fields[b"reason"].decode(),
        who=fields[b"who"].decode(),
    )


_ENTRY_READERS: dict[bytes, Callable[[Mapping[bytes, bytes]], LogEntry]] = {
    b"grants": _read_grants,
    b"edit": _read_edit,
    b"void": _read_void,
}
