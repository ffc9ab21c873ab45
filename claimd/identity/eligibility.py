"""Eligibility: for each claim that a round names, the token must have one of the allowed values."""

from collections.abc import Mapping
from typing import Any

from claimd.domain.rounds import Eligibility, Scalar

# Claims that are a list of words in one string: `scope` of RFC 8693, section 4.2, and `scp`, its name in Entra ID.
_LISTS_OF_WORDS = ("scope", "scp")


def is_eligible(eligibility: Eligibility, token_claims: Mapping[str, Any]) -> bool:
    """Whether the claims of a token have, for each name in `eligibility`, one of the allowed values.

    Where a claim is a list, one of its items suffices. An empty `eligibility` is always met.

    Values are compared as JSON compares them: text by its characters, numbers by their value (1 is 1.0), and true is
    neither 1 nor "true". A name is that of a claim (`https://city.example/district`), or leads into nested objects
    (`realm_access.roles`).
    """
    return all(_holds(_values(name, token_claims), allowed) for name, allowed in eligibility.items())


def _values(name: str, token_claims: Mapping[str, Any]) -> list[Any]:
    value = _find(name, token_claims)
    if isinstance(value, str) and name in _LISTS_OF_WORDS:
        return value.split()
    return value if isinstance(value, list) else [value]


def _find(name: str, token_claims: Mapping[str, Any]) -> Any:
    """The claim `name`; None where there is none.

    A dotted name without a claim of its own is split so that the first part, the longest possible, is an object of the
    token; the rest is looked up in it in the same way.
    """
    if name in token_claims:
        return token_claims[name]
    end = name.rfind(".")
    while end > 0:
        inner = token_claims.get(name[:end])
        if isinstance(inner, dict):
            found = _find(name[end + 1 :], inner)
            if found is not None:
                return found
        end = name.rfind(".", 0, end)
    return None


def _holds(values: list[Any], allowed: list[Scalar]) -> bool:
    return any(_same(value, one) for value in values for one in allowed)


def _same(value: Any, allowed: Scalar) -> bool:
    # In Python True == 1; in JSON they differ.
    if isinstance(value, bool) or isinstance(allowed, bool):
        return value is allowed
    return isinstance(value, str | int | float) and value == allowed
