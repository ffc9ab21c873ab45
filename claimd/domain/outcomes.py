"""The outcomes of a claim and of an operator's change: values, never exceptions."""

from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """The outcome of one request to claim, or to look a claim up.

    OVERLOADED and RATE_LIMITED: the claim was not decided. UNAVAILABLE: the outcome is unknown. A retry is always safe.
    NOT_CLAIMED is that of a lookup alone; one that finds a claim is REPLAYED. BARRED: after a void the
    person may claim no other pack in this round.
    """

    GRANTED = "granted"
    REPLAYED = "replayed"
    NOT_OPEN = "not_open"
    PAUSED = "paused"
    SOLD_OUT = "sold_out"
    CLOSED = "closed"
    ROUND_NOT_FOUND = "round_not_found"
    ARCHIVED = "archived"
    BARRED = "barred"
    PASS_OUTDATED = "pass_outdated"  # noqa: S105 - not a password
    NOT_CLAIMED = "not_claimed"
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
    Outcome.BARRED,
    Outcome.PASS_OUTDATED,
    Outcome.CLOSED,
    Outcome.NOT_OPEN,
    Outcome.PAUSED,
    Outcome.SOLD_OUT,
    Outcome.GRANTED,
)


class Decision(NamedTuple):
    """The decision on one claim. GRANTED and REPLAYED have `serial` and `claimed_at_ms`, NOT_OPEN has `opens_at_ms`.

    `now_ms` is the server's clock at the decision, 0 where the server did not decide. All times are milliseconds
    since 1970. PASS_OUTDATED has `epoch`, the eligibility epoch of the round at the decision.
    """

    outcome: Outcome
    serial: int = 0
    claimed_at_ms: int = 0
    now_ms: int = 0
    opens_at_ms: int = 0
    epoch: int = 0


class EditOutcome(StrEnum):
    """The result of creating, editing, deleting or archiving a round, or of voiding a claim of it.

    INVALID_TOTAL: a relative change leaves the range 0 to MAX_TOTAL. HAS_CLAIMS: a round with claims cannot be deleted.
    ARCHIVED: an archived round cannot be changed. NOT_CLOSED: only a closed round can be archived. NO_SUCH_CLAIM: the
    round has issued no such serial.
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
    NO_SUCH_CLAIM = "no_such_claim"
