"""The reader of answers: each code is one answer, and what is neither a grant nor a refusal is unknown."""

import json
import subprocess
import sys

import numpy as np
import pytest

from claimd.domain.claims import claim_id
from claimd.domain.times import to_rfc3339
from loadtest.client.answers import HOLDING, OF_VISITS, REFUSALS, UNKNOWN, Answer, Finding, Reader, is_one_of

AT = 1_585_857_600_123


def problem(code: str, **more: object) -> bytes:
    """The body of a problem."""
    return json.dumps({"code": code, **more}).encode()


@pytest.mark.parametrize(
    ("status", "code", "answer"),
    [
        (b"409", "sold_out", Answer.SOLD_OUT),
        (b"409", "paused", Answer.PAUSED),
        (b"409", "closed", Answer.CLOSED),
        (b"429", "rate_limited", Answer.RATE_LIMITED),
        (b"401", "unauthenticated", Answer.UNAUTHENTICATED),
        (b"503", "unavailable", Answer.UNAVAILABLE),
        (b"503", "overloaded", Answer.OVERLOADED),
        (b"500", "unavailable", Answer.WRONG),
        (b"404", "round_not_found", Answer.WRONG),
    ],
)
def test_each_code_is_one_answer(status: bytes, code: str, answer: Answer) -> None:
    """Read twice, as the second time is from a cache. An unknown outcome comes with an error for the report."""
    reader = Reader("r")
    for _ in range(2):
        assert reader.read(status, problem(code)) == Finding(
            answer, error=f"{status.decode()} {code}" if answer in UNKNOWN else None
        )


def test_a_claim_is_read() -> None:
    """Its answer, serial and time."""
    held = {"round": "r", "id": claim_id("r", 5), "serial": 5, "claimed_at": to_rfc3339(AT)}
    assert Reader("r").read(b"201", json.dumps({"claim": held, "replayed": False}).encode()) == Finding(
        Answer.GRANTED, 5, AT
    )


def test_without_a_known_opening_any_time_is_accepted() -> None:
    """But only a time: runs that move the opening give the reader none."""
    reader = Reader("r")
    assert reader.read(b"409", problem("not_open", opens_at=to_rfc3339(AT))) == Finding(Answer.NOT_OPEN)
    assert reader.read(b"409", problem("not_open", opens_at="soon")).answer is Answer.WRONG
    assert reader.read(b"409", problem("not_open")).answer is Answer.WRONG


def test_the_groups_of_answers_leave_two_out() -> None:
    """An answer is a claim, a refusal or unknown; a limited or unauthenticated request never reached the round."""
    neither = set(Answer) - {*HOLDING, *REFUSALS, *UNKNOWN, *OF_VISITS}
    assert neither == {Answer.RATE_LIMITED, Answer.UNAUTHENTICATED}
    column = np.array([Answer.NO_ANSWER, Answer.GRANTED, Answer.UNAVAILABLE], np.uint8)
    assert is_one_of(column, UNKNOWN).tolist() == [True, False, True]


def test_reading_and_checking_need_no_gevent() -> None:
    """gevent's patches would break a harness that uses asyncio."""
    script = "import sys, loadtest.history.checker; sys.exit(bool({'gevent', 'locust'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
