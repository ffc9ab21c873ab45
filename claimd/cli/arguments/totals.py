"""A total as people type it: `1500000` is the new total, `+100` and `-100` change it by that much."""

import re

from claimd.domain.rounds import MAX_TOTAL
from claimd.errors import WrongUsage

_TOTAL = re.compile(r"([+-]?)([0-9]{1,10})", re.ASCII)


def parse_total(text: str) -> dict[str, int]:
    """`total` or `total_change`, as the console takes it. Raises WrongUsage."""
    found = _TOTAL.fullmatch(text)
    if found is None or int(found[2]) > MAX_TOTAL:
        raise WrongUsage(
            f"--total {text!r} is no total: a number from 0 to {MAX_TOTAL}, or a change such as +100 or -100"
        )
    number = int(found[2])
    return {"total_change": -number if found[1] == "-" else number} if found[1] else {"total": number}
