"""From an outcome to its answer: the one table of it, and the JSON of rounds and claims."""

import random
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

import orjson

from claimd.domain.archived import Archived
from claimd.domain.claims import Claim, claim_id_prefix
from claimd.domain.outcomes import Decision, Outcome
from claimd.domain.rounds import Round
from claimd.domain.times import to_rfc3339
from claimd.http.problems import Problem, unauthenticated
from claimd.identity.unauthenticated import Unauthenticated

_T = TypeVar("_T")

# RFC 9110 wants whole seconds; a spread, so that those who are sent away do not come back all at once.
_RETRY_AFTER = tuple({"Retry-After": str(seconds)} for seconds in (1, 2, 3))

# Those that say the same to everybody.
_PLAIN_REFUSALS = {
    Outcome.PAUSED: Problem(409, Outcome.PAUSED),
    Outcome.SOLD_OUT: Problem(409, Outcome.SOLD_OUT),
    Outcome.CLOSED: Problem(409, Outcome.CLOSED),
    Outcome.ROUND_NOT_FOUND: Problem(404, Outcome.ROUND_NOT_FOUND),
    Outcome.ARCHIVED: Problem(410, Outcome.ARCHIVED),
    Outcome.PASS_OUTDATED: unauthenticated(Unauthenticated.OUTDATED),
}
# One for each Retry-After, made once: a gateway that turns most people away must have its time for the others.
_TRY_AGAIN = {
    outcome: tuple(Problem(status, outcome, headers=headers) for headers in _RETRY_AFTER)
    for outcome, status in ((Outcome.RATE_LIMITED, 429), (Outcome.OVERLOADED, 503), (Outcome.UNAVAILABLE, 503))
}
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
    """The problem that a refusal is told as: the same one for all who are told the same."""
    outcome = decision.outcome
    problem = _PLAIN_REFUSALS.get(outcome)
    if problem is not None:
        return problem
    if outcome is Outcome.NOT_OPEN:
        return _not_open(decision.opens_at_ms, -(-(decision.opens_at_ms - decision.now_ms) // 1000))
    return _one_of(_TRY_AGAIN[outcome])


@lru_cache(maxsize=256)
def _not_open(opens_at_ms: int, seconds: int) -> Problem:
    opens_at = {"opens_at": to_rfc3339(opens_at_ms)}
    return Problem(409, Outcome.NOT_OPEN, extra=opens_at, headers={"Retry-After": str(max(1, seconds))})


def retry_after() -> dict[str, str]:
    """A Retry-After header of one to three seconds."""
    return _one_of(_RETRY_AFTER)


def _one_of(spread: Sequence[_T]) -> _T:
    # Not for security. `random.choice` takes three times as long, which is a lot where it is most of the work.
    return spread[int(random.random() * len(spread))]  # noqa: S311


def claim_json(claim: Claim) -> dict[str, Any]:
    """A claim as the contract spells it."""
    return {
        "round": claim.round_id,
        "id": claim.id,
        "serial": claim.serial,
        "claimed_at": to_rfc3339(claim.claimed_at_ms),
    }


def operator_round_json(item: Round, now_ms: int) -> dict[str, Any]:
    """A round as operators see it: the public members, then what only they may read. No round has a campaign yet."""
    definition = item.definition
    return {
        **round_json(item, now_ms),
        "version": item.version,
        "eligibility": definition.eligibility,
        "campaign": None,
    }


def archived_json(item: Archived) -> dict[str, Any]:
    """What operators may read of an archived round: where its archive is, and what was in it."""
    return {
        "id": item.id,
        "title": item.title,
        "total": item.total,
        "issued": item.issued,
        "version": item.version,
        "file": item.file,
        "sha256": item.sha256,
        "archived_at": to_rfc3339(item.at_ms),
        "who": item.who,
        "reason": item.reason,
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
