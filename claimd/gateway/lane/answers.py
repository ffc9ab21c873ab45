"""Answers to claims as bytes: all but the serial is encoded once for a round and moment, the date once a second."""

from functools import lru_cache

from claimd.domain.outcomes import Decision, Outcome
from claimd.http.raw_answers import JSON_TYPE, date_line, head, problem_answer
from claimd.http.replies import grant_form, problem_of

_IN_FORM = 2 * len(b"%b")


def claim_answer(round_id: str, decision: Decision, now_seconds: int) -> bytes:
    """The whole HTTP/1.1 answer to a claim; keeps the connection open."""
    if decision.serial:
        serial = b"%d" % decision.serial
        form = _grant_answer_form(round_id, decision.outcome, decision.claimed_at_ms, len(serial))
        return form % (date_line(now_seconds), serial, serial)
    return problem_answer(problem_of(decision), now_seconds)


@lru_cache(maxsize=4096)
def _grant_answer_form(round_id: str, outcome: Outcome, claimed_at_ms: int, digits: int) -> bytes:
    """The answer to all claims of one round and moment; its three `%b` are for the date and, twice, the serial."""
    status, form = grant_form(round_id, outcome, claimed_at_ms)
    return head(status, JSON_TYPE, len(form) - _IN_FORM + 2 * digits) + b"%b\r\n" + form
