"""Refusals as bytes: equal ones are encoded once, and each is right."""

import json

from claimd.domain.outcomes import Decision, Outcome
from claimd.http.decision_answers import problem_of
from claimd.http.raw_answers import problem_answer

NOW_SECONDS = 1_700_000_000


def retry_after(answer: bytes) -> int:
    """Of a whole answer, in seconds."""
    head, _, _ = answer.partition(b"\r\n\r\n")
    (value,) = (line.split(b": ")[1] for line in head.split(b"\r\n") if line.startswith(b"Retry-After: "))
    return int(value)


def test_retry_after_is_spread() -> None:
    """One to three seconds: equal ones would bring all retries back at once."""
    answers = {problem_answer(problem_of(Decision(Outcome.OVERLOADED)), NOW_SECONDS) for _ in range(500)}
    assert {retry_after(answer) for answer in answers} == {1, 2, 3}
    assert len(answers) == 3
    for answer in answers:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert f"Content-Length: {len(body)}".encode() in head
        assert json.loads(body)["code"] == "overloaded"


def test_a_refusal_costs_no_new_answer() -> None:
    """Equal refusals share one object, so that an overloaded gateway does not encode them again."""
    for outcome in (Outcome.OVERLOADED, Outcome.UNAVAILABLE, Outcome.RATE_LIMITED, Outcome.SOLD_OUT):
        assert len({id(problem_of(Decision(outcome))) for _ in range(500)}) <= 3
    early = Decision(Outcome.NOT_OPEN, now_ms=1_000, opens_at_ms=10_000)
    assert problem_of(early) is problem_of(early._replace(now_ms=1_001))


def test_the_waiting_time_before_the_opening_is_that_of_the_moment() -> None:
    """A later request gets a shorter time, and never 0."""
    early = Decision(Outcome.NOT_OPEN, opens_at_ms=10_000)
    waits = [
        retry_after(problem_answer(problem_of(early._replace(now_ms=now_ms)), NOW_SECONDS))
        for now_ms in (1_000, 5_500, 9_999, 10_000)
    ]
    assert waits == [9, 5, 1, 1]
