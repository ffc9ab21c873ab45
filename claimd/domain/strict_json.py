"""JSON without ambiguity: no duplicate names in an object, no NaN, no number that would be stored as another one."""

import json
import math
from typing import Any, NoReturn

import orjson


def parse_json(text: str) -> Any:
    """The value of the JSON document `text`. Raises ValueError with a phrase for the author of the text.

    It uses the parser of the standard library: orjson's takes the last of two equal names and rounds large numbers.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_without_duplicates, parse_float=_finite, parse_constant=_no_constant
        )
        # Fails for what could not be written again: integers of more than 64 bits, lone surrogates, very deep nesting.
        orjson.dumps(value)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except orjson.JSONEncodeError as error:
        raise ValueError(str(error)) from None
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError(f"the name {name[:50]!r} is there twice in one object")
        members[name] = value
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        # orjson writes an infinite number as null.
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
