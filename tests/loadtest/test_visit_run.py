"""The run of whole visits: what is sent when, what waits for an earlier answer of its person, what is sent again."""

import json
from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from claimd.domain.claims import claim_id
from claimd.domain.times import to_rfc3339
from loadtest.client.answers import Answer
from loadtest.client.minting import Tokens
from loadtest.client.requests import Requests
from loadtest.client.visit_answers import VisitReader
from loadtest.crowd.pace import Pace
from loadtest.crowd.schedule import Kind, Schedule
from loadtest.drop.judge import Judge
from loadtest.drop.visits.people import People
from loadtest.drop.visits.records import VisitRecords
from loadtest.drop.visits.run import PATIENCE_SECONDS, VisitRun

AT = 1_585_857_600_123
OPENS_AT = 1_585_857_600_000
HEAD = b"HTTP/1.1 200 OK"
RETRY_HEAD = b"HTTP/1.1 503 X\r\nRetry-After: 2"
PASS = "P" * 68
ROUND = json.dumps({
    "id": "r", "status": "scheduled", "total": 9, "issued": 0, "remaining": 9,
    "opens_at": to_rfc3339(OPENS_AT), "server_time": to_rfc3339(AT),
}).encode()  # fmt: skip
PASSED = json.dumps({"pass": PASS, "expires_at": to_rfc3339(AT)}).encode()
CLAIM = {"round": "r", "id": claim_id("r", 5), "serial": 5, "claimed_at": to_rfc3339(AT)}
CLAIMED = json.dumps({"claim": CLAIM, "replayed": False}).encode()
HELD = json.dumps({"claim": CLAIM}).encode()
BUSY = b'{"code":"unavailable"}'


@dataclass
class Wire:
    """A connection that keeps what is sent."""

    row: int = -1
    head: bytes = HEAD
    sent: list[bytes] = field(default_factory=list)

    def send(self, request: bytes) -> bool:
        self.sent.append(request)
        return True


class Evening:
    """A run whose requests are (seconds, kind) of person 0; or (seconds, kind, person)."""

    def __init__(self, *requests: tuple[Any, ...]) -> None:
        columns = list(zip(*((*request, 0)[:3] for request in requests), strict=True))
        offsets, kinds, persons = columns
        schedule = Schedule(
            Pace.OPEN, 2, np.array(offsets, np.float64), np.array(persons, np.int32), np.array(kinds, np.int8)
        )
        self.records = VisitRecords(schedule)
        self.people = People(range(3), Tokens(b"token-0token-1", array("q", [0, 7, 14]), 0.0))
        self.people.give_pass(2, b"B" * 68)
        self.run: Any = VisitRun(
            self.records, self.people, Judge("r", OPENS_AT), VisitReader("r"), Requests("r", "h"), 0.0, seed=1
        )

    def send_due(self, now: float) -> list[Wire]:
        """What is sent at this moment, each on a connection of its own."""
        self.run.admit(now)
        wires = []
        while self.run.next_due <= now:
            wires.append(Wire())
            assert self.run.send(wires[-1])
        return wires

    def answer(self, wire: Wire, now: float, status: bytes, body: bytes, head: bytes = HEAD) -> None:
        """Answer what was sent on this connection."""
        wire.head = head
        self.run.take(wire, status, body, now)

    def found(self, row: int) -> Answer:
        """The answer that is noted for a row."""
        return Answer(self.records.answer[row])


def lines(wire: Wire) -> list[bytes]:
    """The lines of the request that was sent on this connection."""
    return wire.sent[0].split(b"\r\n")


def test_a_whole_visit() -> None:
    """Each request carries what the answer before it gave: an ETag, a token, a pass."""
    evening = Evening((-9, Kind.ROUND), (-8, Kind.PASS), (-7, Kind.LOOK), (1, Kind.CLAIM), (2, Kind.MINE))
    (wire,) = evening.send_due(-9)
    assert lines(wire)[0] == b"GET /v1/rounds/r HTTP/1.1"
    evening.answer(wire, -8.9, b"200", ROUND, HEAD + b'\r\nETag: "7"')
    (wire,) = evening.send_due(-8)
    assert lines(wire)[0] == b"POST /v1/rounds/r/passes HTTP/1.1"
    assert b"Authorization: Bearer token-0" in lines(wire)
    evening.answer(wire, -7.9, b"201", PASSED)
    (wire,) = evening.send_due(-7)
    assert b'if-none-match: "7"' in [line.lower() for line in lines(wire)]
    evening.answer(wire, -6.9, b"304", b"")
    (wire,) = evening.send_due(1)
    assert lines(wire)[0] == b"POST /v1/rounds/r/claims HTTP/1.1"
    assert f"Authorization: Pass {PASS}".encode() in lines(wire)
    evening.answer(wire, 1.1, b"201", CLAIMED)
    (wire,) = evening.send_due(2)
    assert lines(wire)[0] == b"GET /v1/rounds/r/claims/me HTTP/1.1"
    evening.answer(wire, 2.1, b"200", HELD)
    evening.run.admit(2.2)
    assert evening.run.all_sent.is_set()
    assert [evening.found(row) for row in range(5)] == [
        Answer.READ, Answer.PASS_ISSUED, Answer.UNCHANGED, Answer.GRANTED, Answer.HELD,
    ]  # fmt: skip
    assert evening.records.errors.total() == evening.run.retries == 0
    readings, passes = evening.records.readings(), evening.records.issued_passes()
    assert readings["server_ms"].tolist() == [AT, 0]
    assert readings["issued"].tolist() == [0, 0]
    assert (passes["person"].tolist(), passes["expires_at_ms"].tolist()) == ([0], [AT])


def test_a_request_waits_for_the_answer_that_it_needs() -> None:
    """It leaves as soon as that is there, not late by the generator's doing; its latency counts from its due time."""
    evening = Evening((-9, Kind.ROUND), (-8, Kind.PASS), (1, Kind.CLAIM), (2, Kind.MINE))
    (first,) = evening.send_due(-9)
    assert evening.send_due(-8) == []
    evening.answer(first, -5, b"200", ROUND)
    assert [lines(wire)[0][:4] for wire in evening.send_due(-5)] == [b"POST"]
    assert evening.records.due[1] == -8
    assert evening.records.free_since[1] >= -5


def test_a_request_whose_person_lacks_something_is_never_sent() -> None:
    """The token was refused: the claim has no pass. The evening ends all the same, and both count as errors."""
    evening = Evening((-8, Kind.ROUND), (-7, Kind.PASS), (1, Kind.CLAIM))
    (wire,) = evening.send_due(-8)
    evening.answer(wire, -7.5, b"200", ROUND)
    (wire,) = evening.send_due(-7)
    evening.answer(wire, -6, b"401", b'{"code":"unauthenticated"}')
    assert evening.send_due(1) == []
    assert evening.run.all_sent.is_set()
    assert evening.records.errors == {"pass: 401 unauthenticated": 1}
    assert evening.found(2) is Answer.NO_ANSWER


@pytest.mark.parametrize("status", [b"503", b"429"])
def test_a_rejection_is_an_error_and_sent_again(status: bytes) -> None:
    """After Retry-After and up to half as much again; the retry is a request of its own, with its own due time."""
    evening = Evening((-9, Kind.ROUND), (5, Kind.BAD, 2))
    (wire,) = evening.send_due(-9)
    body = BUSY if status == b"503" else b'{"code":"rate_limited"}'
    evening.answer(wire, -8, status, body, RETRY_HEAD)
    assert evening.send_due(-6.01) == []
    (again,) = evening.send_due(-4.9)
    evening.answer(again, -4.8, b"200", ROUND)
    assert -6 <= evening.records.due[2] <= -5
    assert evening.records.errors.total() == evening.run.retries == 1
    assert (evening.found(2), len(evening.records.rows())) == (Answer.READ, 3)


def test_a_lost_connection_is_an_error_and_sent_again() -> None:
    """The claim may have been granted: the retry gets it."""
    evening = Evening((1, Kind.CLAIM), (2, Kind.MINE))
    evening.people.give_pass(0, PASS.encode())
    (wire,) = evening.send_due(1)
    evening.run.lose(wire.row, 1.5)
    (again,) = evening.send_due(3)
    assert again.row == 2
    evening.answer(again, 3.1, b"200", CLAIMED.replace(b"false", b"true"))
    (mine,) = evening.send_due(3.2)
    assert lines(mine)[0].startswith(b"GET")
    assert [evening.found(row) for row in (0, 2)] == [Answer.DROPPED, Answer.REPLAYED]
    assert not evening.run.settled


def test_patience_ends() -> None:
    """A person gives up after half a minute."""
    evening = Evening((0, Kind.ROUND))
    (wire,) = evening.send_due(0)
    now = 0.0
    for _ in range(100):
        now += 0.1
        evening.answer(wire, now, b"503", BUSY, RETRY_HEAD)
        while not (wires := evening.send_due(now)) and now < 2 * PATIENCE_SECONDS:
            now += 0.1
        if not wires:
            break
        (wire,) = wires
    assert 10 <= evening.run.retries <= 15
    assert evening.run.settled


def test_a_request_that_finds_no_connection_for_long_is_given_up() -> None:
    """It is never sent, and the run comes to its end."""
    evening = Evening((0, Kind.ROUND), (20, Kind.ROUND, 1))
    evening.run.admit(0)
    evening.run.admit(20)
    assert evening.run.waiting == 2
    evening.run.admit(PATIENCE_SECONDS + 1)
    (wire,) = evening.send_due(PATIENCE_SECONDS + 1)
    assert wire.row == 1
    evening.answer(wire, 32, b"200", ROUND)
    evening.run.admit(33)
    assert evening.run.all_sent.is_set()
    assert evening.found(0) is Answer.NO_ANSWER


def test_an_early_claim_that_had_to_wait_is_a_claim() -> None:
    """Its pass came after the opening, so it may be granted."""
    evening = Evening((-3, Kind.ROUND), (-2.5, Kind.PASS), (-2, Kind.EARLY), (3, Kind.CLAIM))
    (wire,) = evening.send_due(-3)
    evening.answer(wire, -2.9, b"200", ROUND)
    (wire,) = evening.send_due(-2)
    evening.answer(wire, 1, b"201", PASSED)
    (early,) = evening.send_due(1)
    evening.answer(early, 1.1, b"201", CLAIMED)
    assert (evening.found(2), evening.records.errors.total()) == (Answer.GRANTED, 0)


def test_a_304_that_was_not_asked_for_is_wrong() -> None:
    """To a first look, or without an ETag before it."""
    evening = Evening((-9, Kind.ROUND), (-8, Kind.LOOK), (-8, Kind.ROUND, 1))
    (wire,) = evening.send_due(-9)
    evening.answer(wire, -8.9, b"200", ROUND)
    for wire in evening.send_due(-8):
        evening.answer(wire, -7.9, b"304", b"")
    assert [evening.found(row) for row in (1, 2)] == [Answer.WRONG] * 2


def test_retries_without_end_are_bounded() -> None:
    """The columns have room for some; the rest of the people give up."""
    evening = Evening((0, Kind.ROUND))
    (wire,) = evening.send_due(0)
    for _ in range(3000):
        evening.answer(wire, 0.1, b"503", BUSY, RETRY_HEAD)
    assert evening.run.retries == 1000
    assert len(evening.records.rows()) == 1001


def test_a_bad_pass_is_sent_by_its_own_number() -> None:
    """And answered 401; it has neither token nor person."""
    evening = Evening((1, Kind.BAD, 2))
    (wire,) = evening.send_due(1)
    assert b"Authorization: Pass " + b"B" * 68 in lines(wire)
    evening.answer(wire, 1.1, b"401", b'{"code":"unauthenticated"}')
    assert (evening.found(0), evening.records.errors.total()) == (Answer.UNAUTHENTICATED, 0)
