"""From an outcome to its answer: the one table of it, and the JSON of rounds and claims."""

import random
from functools import lru_cache
from typing import Any

import orjson

from claimd.domain.claims import Claim, claim_id_prefix
from claimd.domain.outcomes import Decision, Outcome
from claimd.domain.rounds import Round
from claimd.domain.times import to_rfc3339
from claimd.http.problems import Problem

# RFC 9110 wants whole seconds; a spread, so that those who are sent away do not come back all at once.
_RETRY_AFTER_SECONDS = (1, 3)

# Those that say the same to everybody.
_PLAIN_REFUSALS = {
    Outcome.PAUSED: Problem(409, Outcome.PAUSED),
    Outcome.SOLD_OUT: Problem(409, Outcome.SOLD_OUT),
    Outcome.CLOSED: Problem(409, Outcome.CLOSED),
    Outcome.ROUND_NOT_FOUND: Problem(404, Outcome.ROUND_NOT_FOUND),
}
# With a Retry-After of its own for each.
_TRY_AGAIN = {Outcome.RATE_LIMITED: 429, Outcome.OVERLOADED: 503, Outcome.UNAVAILABLE: 503}
_GRANTS = {Outcome.GRANTED: (201, b"false"), Outcome.REPLAYED: (200, b"true")}


def granted(round_id: str, decision: Decision) -> tuple[int, bytes] | None:
    """Status and body for a claim that is held; None for a refusal."""
    if decision.outcome not in _GRANTS:
        return None
    status, form = grant_form(round_id, decision.outcome, decision.claimed_at_ms)
    serial = b"%d" % decision.serial
    return status, form % (serial, serial)


@lru_cache(maxsize=4096)
def grant_form(round_id: str, outcome: Outcome, claimed_at_ms: int) -> tuple[int, bytes]:
    """Status and body of all claims of one round and moment: its two `%b` are for the serial.

    Spelled out, as this is written for every claim; a test holds it against `claim_json`.
    """
    status, replayed = _GRANTS[outcome]
    beginning = orjson.dumps({"claim": {"round": round_id, "id": f"{claim_id_prefix(round_id)}-"}})
    claimed_at = to_rfc3339(claimed_at_ms).encode()
    return status, b'%b%%b","serial":%%b,"claimed_at":"%b"},"replayed":%b}' % (
        beginning.removesuffix(b'"}}'),
        claimed_at,
        replayed,
    )


def refusal(decision: Decision) -> Problem:
    """The problem that a refusal is told as."""
    outcome = decision.outcome
    problem = _PLAIN_REFUSALS.get(outcome)
    if problem is not None:
        return problem
    if outcome is Outcome.NOT_OPEN:
        seconds = -(-(decision.opens_at_ms - decision.now_ms) // 1000)
        opens_at = {"opens_at": to_rfc3339(decision.opens_at_ms)}
        return Problem(409, outcome, extra=opens_at, headers={"Retry-After": str(max(1, seconds))})
    return Problem(_TRY_AGAIN[outcome], outcome, headers=retry_after())


def retry_after() -> dict[str, str]:
    """A Retry-After header of one to three seconds."""
    # Not for security: a spread.
    return {"Retry-After": str(random.randint(*_RETRY_AFTER_SECONDS))}  # noqa: S311


def claim_json(claim: Claim) -> dict[str, Any]:
    """A claim as the contract spells it."""
    return {
        "round": claim.round_id,
        "id": claim.id,
        "serial": claim.serial,
        "claimed_at": to_rfc3339(claim.claimed_at_ms),
    }


def round_json(item: Round, now_ms: int) -> dict[str, Any]:
    """A round as the contract spells it, at `now_ms` of the server's clock."""
    definition = item.definition
    return {
        "id": item.id,
        "title": definition.title,
        "status": item.status(now_ms),
        "total": definition.total,
        "issued": item.issued,
        "remaining": item.remaining,
        "opens_at": to_rfc3339(definition.opens_at_ms),
        "closes_at": to_rfc3339(definition.closes_at_ms),
        "paused": item.paused,
        "pack": definition.pack,
    }
