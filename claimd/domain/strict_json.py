"""JSON without ambiguity: no duplicate names in an object, no NaN, no number that would be stored as another one."""

import json
import math
from typing import Any, NoReturn

import orjson

from claimd.domain.sentences import Template, WrongValue

_TOO_DEEP = Template("it is nested too deeply", "嵌套层数过多")
_NOT_JSON = Template("{library}", "第 {line} 行第 {column} 列的语法有误")
_NOT_STORABLE = Template("{library}", "含有无法保存的值")
_TOO_LONG = Template("{library}", "数字过长")
_TWICE = Template("the name {name!r} is there twice in one object", "同一对象中的名称 {name!r} 重复")
_TOO_LARGE = Template("{text} is too large a number", "数字 {text} 过大")
_NO_NUMBER = Template("{name} is no number", "{name} 不是数字")


def parse_json(text: str) -> Any:
    """The value of the JSON document `text`. Raises WrongValue with a phrase for the author of the text.

    It uses the parser of the standard library: orjson's takes the last of two equal names and rounds large numbers.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_without_duplicates, parse_float=_finite, parse_constant=_no_constant
        )
        # Fails for what could not be written again: integers of more than 64 bits, lone surrogates, very deep nesting.
        orjson.dumps(value)
    except RecursionError:
        raise WrongValue(_TOO_DEEP()) from None
    except json.JSONDecodeError as error:
        raise WrongValue(_NOT_JSON(library=error, line=error.lineno, column=error.colno)) from None
    except orjson.JSONEncodeError as error:
        raise WrongValue(_NOT_STORABLE(library=error)) from None
    except WrongValue:
        raise
    except ValueError as error:
        # An integer of thousands of digits.
        raise WrongValue(_TOO_LONG(library=error)) from None
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise WrongValue(_TWICE(name=name[:50]))
        members[name] = value
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        # orjson writes an infinite number as null.
        raise WrongValue(_TOO_LARGE(text=text[:20]))
    return number


def _no_constant(name: str) -> NoReturn:
    raise WrongValue(_NO_NUMBER(name=name))
