"""The reader of a visit's answers: the round, a pass, the look-up of a claim, and everything that is none of them."""

import json
from typing import Any

import pytest

from claimd.domain.claims import claim_id
from claimd.domain.times import to_rfc3339
from loadtest.client.answers import Answer, Finding
from loadtest.client.visit_answers import PassRead, RoundRead, RoundState, VisitReader

AT = 1_585_857_600_123
OPENS_AT = 1_585_857_600_000
PASS = "A" * 67 + "-"


@pytest.fixture
def reader() -> VisitReader:
    """The reader of round "r"."""
    return VisitReader("r")


def round_body(**other: Any) -> bytes:
    """The body of a round, with `other` members changed; None leaves one out."""
    document = {
        "id": "r", "title": "t", "status": "open", "total": 9, "issued": 4, "remaining": 5,
        "opens_at": to_rfc3339(OPENS_AT), "closes_at": to_rfc3339(OPENS_AT + 9), "paused": False, "pack": {},
        "server_time": to_rfc3339(AT),
    } | other  # fmt: skip
    return json.dumps({name: value for name, value in document.items() if value is not None}).encode()


def pass_body(compact: bool = True, text: object = PASS, **other: Any) -> bytes:
    """The body of a pass; `compact` as claimd writes JSON."""
    document = {"pass": text, "expires_at": to_rfc3339(AT)} | other
    return json.dumps(document, separators=(",", ":") if compact else None).encode()


def claim_body(compact: bool = True, **other: Any) -> bytes:
    """The body of a look-up that found claim 5."""
    held = {"round": "r", "id": claim_id("r", 5), "serial": 5, "claimed_at": to_rfc3339(AT)} | other
    return json.dumps({"claim": held}, separators=(",", ":") if compact else None).encode()


def problem(code: str) -> bytes:
    """The body of a problem."""
    return json.dumps({"code": code}).encode()


def test_a_round_is_read(reader: VisitReader) -> None:
    """With the server's time, status and counts; later versions may add members."""
    read = RoundRead(AT, RoundState.OPEN, 4, 9, 5, OPENS_AT)
    assert reader.read_round(b"200", round_body()) == read
    assert reader.read_round(b"200", round_body(news="x")) == read
    assert reader.read_round(b"200", round_body(status="sold_out")) == read._replace(state=RoundState.SOLD_OUT)
    assert reader.read_round(b"304", b"") == Finding(Answer.UNCHANGED)


def test_an_event_may_have_no_time(reader: VisitReader) -> None:
    """An answer must have one."""
    assert reader.read_event(round_body(server_time=None)) == RoundRead(0, RoundState.OPEN, 4, 9, 5, OPENS_AT)
    assert reader.read_event(round_body()) == RoundRead(AT, RoundState.OPEN, 4, 9, 5, OPENS_AT)
    event = reader.read_event(b"{")
    assert isinstance(event, Finding)
    assert event.answer is Answer.WRONG


@pytest.mark.parametrize("compact", [True, False])
def test_passes_and_claims_are_read_in_either_spelling(reader: VisitReader, compact: bool) -> None:
    """Of JSON."""
    assert reader.read_pass(b"201", pass_body(compact)) == PassRead(PASS.encode(), AT)
    assert reader.read_look_up(b"200", claim_body(compact)) == Finding(Answer.HELD, 5, AT)
    assert reader.read_look_up(b"404", problem("not_claimed")) == Finding(Answer.NOT_CLAIMED)


@pytest.mark.parametrize(
    ("status", "code", "answer"),
    [
        (b"503", "unavailable", Answer.UNAVAILABLE),
        (b"503", "overloaded", Answer.OVERLOADED),
        (b"429", "rate_limited", Answer.WRONG),
        (b"401", "unauthenticated", Answer.WRONG),
        (b"403", "not_eligible", Answer.WRONG),
        (b"404", "round_not_found", Answer.WRONG),
        (b"409", "sold_out", Answer.WRONG),
    ],
)
def test_rejections_are_errors_of_any_request(reader: VisitReader, status: bytes, code: str, answer: Answer) -> None:
    """Each names status and code for the report."""
    for read in (reader.read_round, reader.read_pass, reader.read_look_up):
        finding = read(status, problem(code))
        assert isinstance(finding, Finding)
        assert (finding.answer, finding.error) == (answer, f"{status.decode()} {code}")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null",
        round_body(id="s"), round_body(status="sleeping"), round_body(issued="4"), round_body(issued=True),
        round_body(server_time=None), round_body(server_time="now"), round_body(opens_at=None),
    ],
)  # fmt: skip
def test_what_is_no_round_is_wrong(reader: VisitReader, body: bytes) -> None:
    """With the beginning of the body for the report."""
    finding = reader.read_round(b"200", body)
    assert isinstance(finding, Finding)
    assert finding.answer is Answer.WRONG
    assert "200 with an unexpected body" in (finding.error or "")


@pytest.mark.parametrize("body", [b"", b"[]", pass_body(text="A" * 67), pass_body(text=5),
                                  pass_body(expires_at="soon"), pass_body(expires_at=None)])  # fmt: skip
def test_what_is_no_pass_is_wrong(reader: VisitReader, body: bytes) -> None:
    """Also a pass with another status."""
    for answer in (reader.read_pass(b"201", body), reader.read_pass(b"200", pass_body())):
        assert isinstance(answer, Finding)
        assert answer.answer is Answer.WRONG


@pytest.mark.parametrize("body", [b"", b"[]", claim_body(round="s"), claim_body(serial=6), claim_body(serial="5"),
                                  claim_body(claimed_at="then"), b'{"claim":null}'])  # fmt: skip
def test_what_is_no_claim_is_wrong(reader: VisitReader, body: bytes) -> None:
    """Also a claim with another status, or a 304 with a body."""
    assert reader.read_look_up(b"200", body).answer is Answer.WRONG
    assert reader.read_look_up(b"201", claim_body()).answer is Answer.WRONG
    unchanged = reader.read_round(b"304", round_body())
    assert isinstance(unchanged, Finding)
    assert unchanged.answer is Answer.WRONG


def test_the_cache_of_times_is_bounded(reader: VisitReader) -> None:
    """Each answer may have a time of its own."""
    for number in range(5000):
        reader.read_round(b"200", round_body(server_time=to_rfc3339(AT + number)))
    assert len(reader._instants) <= 4096
