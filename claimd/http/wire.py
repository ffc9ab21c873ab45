"""Answers as bytes for connections not of aiohttp: all but the serial is spelled once, and the date once a second."""

from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from claimd.domain.outcomes import Decision, Outcome
from claimd.http.caching import NO_STORE
from claimd.http.problems import CONTENT_TYPE as PROBLEM_TYPE
from claimd.http.problems import Problem
from claimd.http.replies import grant_form, refusal

_JSON_TYPE = "application/json"
_IN_FORM = 2 * len(b"%b")


def claim_answer(round_id: str, decision: Decision, now_seconds: int) -> bytes:
    """The whole HTTP/1.1 answer to a claim; keeps the connection open."""
    if decision.serial:
        serial = b"%d" % decision.serial
        form = _grant_answer_form(round_id, decision.outcome, decision.claimed_at_ms, len(serial))
        return form % (_date(now_seconds), serial, serial)
    return problem_answer(refusal(decision), now_seconds)


def problem_answer(problem: Problem, now_seconds: int) -> bytes:
    """The whole HTTP/1.1 answer for a problem; keeps the connection open."""
    before, after = _problem_parts(problem)
    return before + _date(now_seconds) + after


def json_answer(status: int, body: bytes, headers: Mapping[str, str], now_seconds: int) -> bytes:
    """The whole HTTP/1.1 answer with such a body."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    return b"%b%b%b\r\n%b" % (_head(status, _JSON_TYPE, len(body)), _date(now_seconds), lines, body)


# By the problem itself: those that are told to many are made once.
@lru_cache(maxsize=256)
def _problem_parts(problem: Problem) -> tuple[bytes, bytes]:
    """What stands before the date, and after it."""
    body = problem.body()
    headers = "".join(f"{name}: {value}\r\n" for name, value in problem.headers.items()).encode()
    return _head(problem.status, PROBLEM_TYPE, len(body)), headers + b"\r\n" + body


@lru_cache(maxsize=4096)
def _grant_answer_form(round_id: str, outcome: Outcome, claimed_at_ms: int, digits: int) -> bytes:
    """The answer to all claims of one round and moment; its three `%b` are for the date and, twice, the serial."""
    status, form = grant_form(round_id, outcome, claimed_at_ms)
    return _head(status, _JSON_TYPE, len(form) - _IN_FORM + 2 * digits) + b"%b\r\n" + form


@lru_cache(maxsize=1024)
def _head(status: int, content_type: str, length: int) -> bytes:
    reason = HTTPStatus(status).phrase
    return (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n"
        f"Cache-Control: {NO_STORE}\r\n"
    ).encode()


@lru_cache(maxsize=2)
def _date(now_seconds: int) -> bytes:
    """RFC 9110, section 6.6.1."""
    return f"Date: {formatdate(now_seconds, usegmt=True)}\r\n".encode()
