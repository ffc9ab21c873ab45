"""Answers to claims as bytes: all but the serial is encoded once for a round and moment, the date once a second."""

from functools import lru_cache

from claimd.domain.outcomes import Decision, Outcome
from claimd.http.decision_answers import grant_body, problem_of
from claimd.http.raw_answers import JSON_TYPE, date_line, head, problem_answer


def claim_answer(round_id: str, decision: Decision, now_seconds: int) -> bytes:
    """The whole HTTP/1.1 answer to a claim; it keeps the connection open."""
    if decision.serial:
        serial = b"%d" % decision.serial
        before_date, prefix, middle, suffix = _grant_answer(
            round_id, decision.outcome, decision.claimed_at_ms, len(serial)
        )
        # One join: a method call and concatenations would take a fifth more.
        return b"".join((before_date, date_line(now_seconds), prefix, serial, middle, serial, suffix))
    return problem_answer(problem_of(decision), now_seconds)


@lru_cache(maxsize=4096)
def _grant_answer(
    round_id: str, outcome: Outcome, claimed_at_ms: int, digits: int
) -> tuple[bytes, bytes, bytes, bytes]:
    """The parts of the answer to such claims: before the date, then before, between and after the two serials."""
    status, body = grant_body(round_id, outcome, claimed_at_ms)
    end_of_head = b"\r\n"
    return head(status, JSON_TYPE, body.filled_bytes(digits)), end_of_head + body.prefix, body.middle, body.suffix
