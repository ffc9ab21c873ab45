"""From a decision on a claim to its answer: a grant's status and body, or the problem of a refusal. For both doors."""

from functools import lru_cache
from typing import NamedTuple

import orjson

from claimd.contract.problems import CODE_OF_OUTCOME, Code, ProblemHeader
from claimd.domain.claims import claim_id_prefix
from claimd.domain.outcomes import Decision, Outcome
from claimd.domain.times import to_rfc3339
from claimd.http.problems import RETRY_AFTER, Problem, one_of, unauthenticated
from claimd.identity.unauthenticated import Unauthenticated

# Made once: a gateway that rejects most requests needs its time for the others.
_CONSTANT_PROBLEMS = {
    **{
        outcome: Problem(CODE_OF_OUTCOME[outcome])
        for outcome in (
            Outcome.PAUSED,
            Outcome.SOLD_OUT,
            Outcome.CLOSED,
            Outcome.ROUND_NOT_FOUND,
            Outcome.ARCHIVED,
            Outcome.NOT_CLAIMED,
            Outcome.BARRED,
        )
    },
    Outcome.PASS_OUTDATED: unauthenticated(Unauthenticated.OUTDATED),
}
# One problem for each value of Retry-After, made once as well.
_RETRY_PROBLEMS = {
    outcome: tuple(Problem(CODE_OF_OUTCOME[outcome], headers=headers) for headers in RETRY_AFTER)
    for outcome in (Outcome.RATE_LIMITED, Outcome.OVERLOADED, Outcome.UNAVAILABLE)
}
_GRANTS = {Outcome.GRANTED: (201, b"false"), Outcome.REPLAYED: (200, b"true")}


class GrantTemplate(NamedTuple):
    """A body for all claims of one round, outcome and moment: they differ in the serial alone, which comes twice.

    A tuple: it is unpacked faster than attributes are read, and this is done for every claim.
    """

    prefix: bytes
    middle: bytes
    suffix: bytes

    def fill(self, serial: bytes) -> bytes:
        """The body for a serial, given in decimal digits."""
        prefix, middle, suffix = self
        return prefix + serial + middle + serial + suffix

    def filled_bytes(self, digits: int) -> int:
        """The length of the body for a serial of so many digits."""
        return sum(map(len, self)) + 2 * digits


def granted(round_id: str, decision: Decision) -> tuple[int, bytes] | None:
    """Status and body of the answer to a claim that is held; None for a refusal."""
    if decision.outcome not in _GRANTS:
        return None
    status, template = grant_body(round_id, decision.outcome, decision.claimed_at_ms)
    return status, template.fill(b"%d" % decision.serial)


@lru_cache(maxsize=4096)
def grant_body(round_id: str, outcome: Outcome, claimed_at_ms: int) -> tuple[int, GrantTemplate]:
    """Status and body of such claims, as `claimd.contract.claims.ClaimAnswer`; a test holds it against `claim_json`."""
    status, replayed = _GRANTS[outcome]
    beginning = orjson.dumps({"claim": {"round": round_id, "id": f"{claim_id_prefix(round_id)}-"}})
    return status, GrantTemplate(
        prefix=beginning.removesuffix(b'"}}'),
        middle=b'","serial":',
        suffix=b',"claimed_at":"%b"},"replayed":%b}' % (to_rfc3339(claimed_at_ms).encode(), replayed),
    )


@lru_cache(maxsize=4096)
def held_claim(round_id: str, claimed_at_ms: int) -> GrantTemplate:
    """The body that shows such claims, as `claimd.contract.claims.MyClaimAnswer`."""
    prefix, middle, suffix = grant_body(round_id, Outcome.REPLAYED, claimed_at_ms)[1]
    return GrantTemplate(prefix, middle, suffix.replace(b',"replayed":true', b""))


def problem_of(decision: Decision) -> Problem:
    """The problem of a refusal. Equal refusals get the same object, whose bytes are encoded once."""
    outcome = decision.outcome
    problem = _CONSTANT_PROBLEMS.get(outcome)
    if problem is not None:
        return problem
    if outcome is Outcome.NOT_OPEN:
        return _not_open(decision.opens_at_ms, -(-(decision.opens_at_ms - decision.now_ms) // 1000))
    return one_of(_RETRY_PROBLEMS[outcome])


@lru_cache(maxsize=256)
def _not_open(opens_at_ms: int, seconds: int) -> Problem:
    members = {"opens_at": to_rfc3339(opens_at_ms)}
    return Problem(Code.NOT_OPEN, members=members, headers={ProblemHeader.RETRY_AFTER.value: str(max(1, seconds))})
