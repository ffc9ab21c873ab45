"""Claims of a JWT on the command line: `NAME=TEXT`, or `NAME:=JSON` for anything but text."""

from collections.abc import Iterable
from typing import Any

from claimd.cli.arguments.text import as_utf8
from claimd.domain.strict_json import parse_json
from claimd.errors import WrongUsage


def parse_token_claims(given: Iterable[str], *, reserved: Iterable[str]) -> dict[str, Any]:
    """The claims by name. Raises WrongUsage for a malformed one, one of the `reserved` names, or a name given twice."""
    claims: dict[str, Any] = {}
    for text in given:
        name, value = _parse(text)
        if name in reserved:
            raise WrongUsage(f"--claim {text!r}: {name} is set by this command itself")
        if name in claims:
            raise WrongUsage(f"--claim {text!r}: {name} is given twice; a list is {name}:='[…]'")
        claims[name] = value
    return claims


def _parse(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    is_json = name.endswith(":")
    name = name.removesuffix(":")
    if not (name and equals):
        raise WrongUsage(f"--claim {text!r} is no claim: NAME=TEXT, or NAME:=JSON")
    try:
        return as_utf8(name), parse_json(as_utf8(value)) if is_json else as_utf8(value)
    except ValueError as error:
        raise WrongUsage(f"--claim {text!r}: {error}") from None
