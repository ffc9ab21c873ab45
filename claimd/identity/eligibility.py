"""Who may claim in a round: every claim that the round names must hold, in the token, one of the values it allows."""

from collections.abc import Mapping
from typing import Any

from claimd.domain.rounds import Eligibility


def is_eligible(eligibility: Eligibility, claims: Mapping[str, Any]) -> bool:
    """A token's claim may be one string or a list of them; anything else, or none, is not eligible."""
    return all(_holds(claims.get(name), allowed) for name, allowed in eligibility.items())


def _holds(value: Any, allowed: list[str]) -> bool:
    values = value if isinstance(value, list) else [value]
    return any(isinstance(one, str) and one in allowed for one in values)
