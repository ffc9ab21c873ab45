"""Encodes whole HTTP/1.1 answers as bytes, for the lane and for rejected connections: constant parts are cached."""

from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from claimd.contract.problems import PROBLEM_CONTENT_TYPE
from claimd.contract.routes import NO_STORE
from claimd.http.problems import Problem

JSON_TYPE = "application/json"


def problem_answer(problem: Problem, now_seconds: int) -> bytes:
    """The whole answer for a problem; it keeps the connection open."""
    before, after = _problem_parts(problem)
    return before + date_line(now_seconds) + after


def json_answer(status: int, body: bytes, headers: Mapping[str, str], now_seconds: int) -> bytes:
    """The whole answer with a JSON body and these headers."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    return b"%b%b%b\r\n%b" % (head(status, JSON_TYPE, len(body)), date_line(now_seconds), lines, body)


# Cached by the identity of the problem: equal refusals share one object (`replies.problem_of`).
@lru_cache(maxsize=256)
def _problem_parts(problem: Problem) -> tuple[bytes, bytes]:
    """The bytes of the answer before the Date header, and those after it."""
    body = problem.body()
    headers = "".join(f"{name}: {value}\r\n" for name, value in problem.headers.items()).encode()
    return head(problem.status, PROBLEM_CONTENT_TYPE, len(body)), headers + b"\r\n" + body


@lru_cache(maxsize=1024)
def head(status: int, content_type: str, length: int) -> bytes:
    """The status line and the headers of every answer, without Date and the empty line."""
    reason = HTTPStatus(status).phrase
    return (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n"
        f"Cache-Control: {NO_STORE}\r\n"
    ).encode()


@lru_cache(maxsize=2)
def date_line(now_seconds: int) -> bytes:
    """The Date header (RFC 9110, section 6.6.1) with its line end."""
    return f"Date: {formatdate(now_seconds, usegmt=True)}\r\n".encode()
