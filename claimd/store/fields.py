"""A round as the fields of a hash, and back: the one place that knows how each value is spelled on the server."""

from collections.abc import Mapping
from typing import Any

import orjson

from claimd.domain.archived import Archived
from claimd.domain.rounds import Definition, Round

_JSON_FIELDS = frozenset({"pack", "eligibility"})
_FLAGS = frozenset({"paused", "closed"})
_LEFT_OF_DELETED = frozenset({b"version", b"epoch"})
_NUMBERS = frozenset({"total", "opens_at_ms", "closes_at_ms"})
_DEFINITION_FIELDS = ("title", "total", "opens_at_ms", "closes_at_ms", "pack", "eligibility")


def definition_fields(definition: Definition) -> dict[str, str | bytes]:
    """All fields of a definition, spelled; its id is the key's business and a field of its own."""
    return {"id": definition.id, **spelled({name: getattr(definition, name) for name in _DEFINITION_FIELDS})}


def spelled(changes: Mapping[str, Any]) -> dict[str, str | bytes]:
    """Values as strings: flags as 0 and 1, objects as JSON."""
    return {name: _spell(name, value) for name, value in changes.items()}


def read_round(fields: Mapping[bytes, bytes]) -> Round | None:
    """The round that a HGETALL found; None for no fields, and for what a deleted round leaves behind."""
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
    )


def read_archived(fields: Mapping[bytes, bytes]) -> Archived | None:
    """The stub that a HGETALL found, None where the round was not archived."""
    if b"archived" not in fields:
        return None
    return Archived(
        id=fields[b"id"].decode(),
        title=fields[b"title"].decode(),
        total=int(fields[b"total"]),
        issued=int(fields[b"issued"]),
        version=int(fields[b"version"]),
        file=fields[b"archive_file"].decode(),
        sha256=fields[b"archived"].decode(),
        at_ms=int(fields[b"archived_at_ms"]),
        who=fields[b"archived_by"].decode(),
        reason=fields[b"archive_reason"].decode(),
    )


def read_pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    """A flat reply of field, value, field, value … as a mapping."""
    return {flat[i]: flat[i + 1] for i in range(0, len(flat), 2)}


def read_logged(fields: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a log's entry as values: numbers, flags and objects instead of their spelling."""
    return {name: _read(name, text) for name, text in fields.items()}


def _read(name: str, text: str) -> Any:
    if name in _JSON_FIELDS:
        return orjson.loads(text)
    if name in _FLAGS:
        return text == "1"
    return int(text) if name in _NUMBERS else text


def _spell(name: str, value: Any) -> str | bytes:
    if name in _JSON_FIELDS:
        return orjson.dumps(value)
    if name in _FLAGS:
        return "1" if value else "0"
    return str(value)
