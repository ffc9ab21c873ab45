"""JSON that means one thing: no name twice in an object, no NaN, no number that would be kept as another one."""

import json
import math
from typing import Any, NoReturn

import orjson


def parse_json(text: str) -> Any:
    """The value that `text` spells. Raises ValueError with a phrase for the author of the text.

    The standard library's parser, not orjson's, which takes the last of two equal names and rounds large numbers.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_without_duplicates, parse_float=_finite, parse_constant=_no_constant
        )
        # Numbers of more than 64 bits, halves of characters, abysmal nesting: what could not be written again.
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
        # It would be written again as null.
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
