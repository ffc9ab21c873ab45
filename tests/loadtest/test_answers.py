"""An answer is read for what it says of a claim, whoever asked: what is no grant and no refusal is unknown."""

import json
import subprocess
import sys

import numpy as np
import pytest

from claimd.domain.claims import claim_id
from claimd.domain.times import to_rfc3339
from loadtest.client.answers import HOLDING, REFUSALS, UNKNOWN, Answer, Finding, Reader, is_one_of

AT = 1_585_857_600_123


def problem(code, **more):
    return json.dumps({"code": code, **more}).encode()


@pytest.mark.parametrize(
    ("status", "code", "told"),
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
def test_each_code_says_one_thing(status, code, told):
    """Twice, because what was seen before is not looked at again; what leaves the claim unknown says why."""
    reader = Reader("r")
    for _ in range(2):
        assert reader.read(status, problem(code)) == Finding(
            told, error=f"{status.decode()} {code}" if told in UNKNOWN else None
        )


def test_a_claim_is_read():
    """Status, serial and time."""
    held = {"round": "r", "id": claim_id("r", 5), "serial": 5, "claimed_at": to_rfc3339(AT)}
    assert Reader("r").read(b"201", json.dumps({"claim": held, "replayed": False}).encode()) == Finding(
        Answer.GRANTED, 5, AT
    )


def test_an_opening_that_may_move_is_only_a_time():
    """Where the reader was told no opening, any time will do, and nothing that is none."""
    reader = Reader("r")
    assert reader.read(b"409", problem("not_open", opens_at=to_rfc3339(AT))) == Finding(Answer.NOT_OPEN)
    assert reader.read(b"409", problem("not_open", opens_at="soon")).answer is Answer.WRONG
    assert reader.read(b"409", problem("not_open")).answer is Answer.WRONG


def test_what_may_be_told_falls_into_kinds():
    """A claim, a refusal, unknown; and two that say nothing about the claim."""
    silent = set(Answer) - {*HOLDING, *REFUSALS, *UNKNOWN}
    assert silent == {Answer.RATE_LIMITED, Answer.UNAUTHENTICATED}
    told = np.array([Answer.NO_ANSWER, Answer.GRANTED, Answer.UNAVAILABLE], np.uint8)
    assert is_one_of(told, UNKNOWN).tolist() == [True, False, True]


def test_reading_and_checking_need_no_gevent():
    """Its patches must not reach an asyncio harness."""
    script = "import sys, loadtest.history.checker; sys.exit(bool({'gevent', 'locust'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
