"""A round's fields as text: the form in which they are stored, and in which the log of a round records its edits.

Flags are 0 and 1, `pack` and `eligibility` are JSON, numbers are decimal.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from claimd.domain.rounds import Definition

_JSON_FIELDS = frozenset({"pack", "eligibility"})
_FLAGS = frozenset({"paused", "closed"})
_NUMBERS = frozenset({"total", "opens_at_ms", "closes_at_ms"})
_DEFINITION_FIELDS = ("title", "total", "opens_at_ms", "closes_at_ms", "pack", "eligibility")


def definition_fields(definition: Definition) -> dict[str, str]:
    """All fields of a definition as text, its id included."""
    return {"id": definition.id, **field_texts({name: getattr(definition, name) for name in _DEFINITION_FIELDS})}


def field_texts(changes: Mapping[str, Any]) -> dict[str, str]:
    """The text of each value."""
    return {name: _text(name, value) for name, value in changes.items()}


def field_values(fields: Mapping[str, str]) -> dict[str, Any]:
    """The inverse of `field_texts`: numbers, flags and objects in place of their text."""
    return {name: _value(name, text) for name, text in fields.items()}


def flag_text(flag: bool) -> str:
    """A flag as the text 1 or 0."""
    return "1" if flag else "0"


def _text(name: str, value: Any) -> str:
    if name in _JSON_FIELDS:
        return orjson.dumps(value).decode()
    return flag_text(value) if name in _FLAGS else str(value)


def _value(name: str, text: str) -> Any:
    if name in _JSON_FIELDS:
        return orjson.loads(text)
    if name in _FLAGS:
        return text == "1"
    return int(text) if name in _NUMBERS else text
