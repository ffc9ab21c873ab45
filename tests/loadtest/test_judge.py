"""The judge: which answers are right for which kind of request."""

import json

import pytest

from claimd.domain.claims import claim_id
from claimd.domain.times import to_rfc3339
from loadtest.client.answers import Answer, Finding, Reader
from loadtest.crowd.schedule import Kind
from loadtest.drop.judge import Judge

AT = 1_585_857_600_123
OPENS_AT = 1_585_857_600_000


@pytest.fixture
def judge() -> Judge:
    """The judge of round "r"."""
    return Judge("r", OPENS_AT)


def claim(replayed: bool, compact: bool = True, **other: object) -> bytes:
    """The body of an answer with claim 5, with `other` fields changed; `compact` as claimd writes JSON."""
    held = {"round": "r", "id": claim_id("r", 5), "serial": 5, "claimed_at": to_rfc3339(AT)} | other
    separators = (",", ":") if compact else None
    return json.dumps({"claim": held, "replayed": replayed}, separators=separators).encode()


def problem(code: str, **more: object) -> bytes:
    """The body of a problem."""
    return json.dumps({"type": "about:blank", "status": 409, "code": code, **more}).encode()


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("kind", [Kind.CLAIM, Kind.AGAIN, Kind.APP])
def test_a_claim_is_understood(judge: Judge, kind: Kind, compact: bool) -> None:
    """In either spelling of JSON."""
    assert judge.judge(kind, b"201", claim(False, compact)) == Finding(Answer.GRANTED, 5, AT)
    assert judge.judge(kind, b"200", claim(True, compact)) == Finding(Answer.REPLAYED, 5, AT)


def test_correct_refusals_are_successes(judge: Judge) -> None:
    """Sold out for a late claim, not open for an early one, unauthenticated for a bad pass."""
    assert judge.judge(Kind.CLAIM, b"409", problem("sold_out")) == Finding(Answer.SOLD_OUT)
    early = problem("not_open", opens_at=to_rfc3339(OPENS_AT))
    assert judge.judge(Kind.EARLY, b"409", early) == Finding(Answer.NOT_OPEN)
    assert judge.judge(Kind.BAD, b"401", problem("unauthenticated")) == Finding(Answer.UNAUTHENTICATED)


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        (Kind.BAD, b"201", claim(False)),
        (Kind.EARLY, b"201", claim(False)),
        (Kind.EARLY, b"409", problem("sold_out")),
        (Kind.EARLY, b"409", problem("not_open", opens_at=to_rfc3339(AT))),
        (Kind.EARLY, b"409", problem("not_open")),
        (Kind.CLAIM, b"409", problem("not_open", opens_at=to_rfc3339(OPENS_AT))),
        (Kind.CLAIM, b"401", problem("unauthenticated")),
        (Kind.CLAIM, b"400", problem("sold_out")),
        (Kind.CLAIM, b"503", problem("unavailable")),
        (Kind.CLAIM, b"503", problem("overloaded")),
        (Kind.CLAIM, b"500", b"<html>"),
        (Kind.CLAIM, b"409", b"[]"),
        (Kind.CLAIM, b"409", b'{"code":{}}'),
        (Kind.CLAIM, b"201", claim(True)),
        (Kind.CLAIM, b"200", claim(False)),
        (Kind.CLAIM, b"201", claim(False, round="s")),
        (Kind.CLAIM, b"201", claim(False, id=claim_id("r", 6))),
        (Kind.CLAIM, b"201", claim(False, id=claim_id("s", 5))),
        (Kind.CLAIM, b"201", claim(False, serial=0, id=claim_id("r", 0))),
        (Kind.CLAIM, b"201", claim(False, serial="5")),
        (Kind.CLAIM, b"201", claim(False, claimed_at="2020-13-02T20:00:00.123Z")),
        (Kind.CLAIM, b"201", claim(False, claimed_at="yesterday")),
        (Kind.CLAIM, b"201", b'{"claim":[],"replayed":false}'),
        (Kind.CLAIM, b"201", b"null"),
        (Kind.CLAIM, b"xyz", b""),
    ],
)
def test_anything_else_is_an_error(judge: Judge, kind: Kind, status: bytes, body: bytes) -> None:
    """Judged twice, as the second time the finding is from a cache."""
    for _ in range(2):
        finding = judge.judge(kind, status, body)
        assert finding.answer is Answer.WRONG
        assert finding.error


def test_the_cache_of_refusals_is_bounded() -> None:
    """A server may answer with a new body each time."""
    reader = Reader("r")
    for number in range(3000):
        assert reader.read(b"409", problem("sold_out", detail=str(number))).answer is Answer.SOLD_OUT
    assert len(reader._known) <= 1024
