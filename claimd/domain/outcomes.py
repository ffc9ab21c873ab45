"""What can become of a claim, and of an operator's change: values, never exceptions."""

from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """The outcome of one request to claim.

    OVERLOADED, RATE_LIMITED and UNAVAILABLE say nothing about the claim: asking again is always safe.
    """

    GRANTED = "granted"
    REPLAYED = "replayed"
    NOT_OPEN = "not_open"
    PAUSED = "paused"
    SOLD_OUT = "sold_out"
    CLOSED = "closed"
    ROUND_NOT_FOUND = "round_not_found"
    ARCHIVED = "archived"
    PASS_OUTDATED = "pass_outdated"  # noqa: S105 - not a password
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"

    # An enumeration's own hash is Python code, and this one is hashed for every claim.
    __hash__ = str.__hash__


# How one claim is decided: the first outcome whose condition applies. `Round.refusal` derives from it, and through that
# `Round.status` and the model of the store; the head of `lua/claim.lua` repeats it as ORDER, and tests hold that to it.
ORDER_OF_DECISION = (
    Outcome.ROUND_NOT_FOUND,
    Outcome.ARCHIVED,
    Outcome.REPLAYED,
    Outcome.PASS_OUTDATED,
    Outcome.CLOSED,
    Outcome.NOT_OPEN,
    Outcome.PAUSED,
    Outcome.SOLD_OUT,
    Outcome.GRANTED,
)


class Decision(NamedTuple):
    """One claim, decided. `serial` and `claimed_at_ms` for GRANTED and REPLAYED; `opens_at_ms` for NOT_OPEN.

    `now_ms` is the server's clock at the decision, 0 where the server was not asked.
    """

    outcome: Outcome
    serial: int = 0
    claimed_at_ms: int = 0
    now_ms: int = 0
    opens_at_ms: int = 0


class EditOutcome(StrEnum):
    """The result of creating, editing, deleting or archiving a round.

    INVALID_TOTAL: a relative change leads out of the range of a total. HAS_CLAIMS: a round with claims stays.
    ARCHIVED: the round has left the server. NOT_CLOSED: only a closed round can be archived.
    """

    DONE = "done"
    ROUND_EXISTS = "round_exists"
    ROUND_NOT_FOUND = "round_not_found"
    VERSION_MISMATCH = "version_mismatch"
    INVALID_TOTAL = "invalid_total"
    TOTAL_BELOW_ISSUED = "total_below_issued"
    INVALID_WINDOW = "invalid_window"
    HAS_CLAIMS = "has_claims"
    ARCHIVED = "archived"
    NOT_CLOSED = "not_closed"
