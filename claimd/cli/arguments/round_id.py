"""A round's id on the command line."""

from claimd.domain.rounds import is_round_id
from claimd.errors import WrongUsage


def require_round_id(text: str) -> str:
    """Return the id. Raises WrongUsage for a text that is none: a slip such as `a/audit` would be another path."""
    if not is_round_id(text):
        raise WrongUsage(f"{text!r} is not a round's id: small letters, digits and '-', at most 64")
    return text
