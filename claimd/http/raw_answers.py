"""Encodes whole HTTP/1.1 answers as bytes, for the lane and for rejected connections: constant parts are cached."""

from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from claimd.contract.headers import NO_STORE
from claimd.contract.problems import PROBLEM_CONTENT_TYPE
from claimd.domain.sentences import Language
from claimd.http.problems import Problem

JSON_TYPE = "application/json"
_HEAD_END = b"\r\n\r\n"
_VARIES_BY_LANGUAGE = b"Vary: Accept-Language\r\n"


def problem_answer(
    problem: Problem,
    now_seconds: int,
    language: Language = Language.ENGLISH,
    origin_lines: bytes = _VARIES_BY_LANGUAGE,
) -> bytes:
    """The whole answer for a problem; it keeps the connection open.

    `origin_lines` are the `problem` lines of `claimd.http.cors.OriginLines`; without them no origin is configured.
    """
    before, after = _problem_parts(problem, language)
    return b"".join((before, date_line(now_seconds), origin_lines, after))


def without_body(answer: bytes) -> bytes:
    """A whole answer as it is sent to `HEAD`."""
    return answer[: answer.index(_HEAD_END) + len(_HEAD_END)]


def json_answer(
    status: int, body: bytes, headers: Mapping[str, str], now_seconds: int, origin_lines: bytes = b""
) -> bytes:
    """The whole answer with a JSON body and these headers; `origin_lines` are the `answer` lines of `OriginLines`."""
    return b"".join(
        (head(status, JSON_TYPE, len(body)), date_line(now_seconds), header_lines(headers), origin_lines, b"\r\n", body)
    )


def empty_answer_parts(status: int, headers: Mapping[str, str]) -> tuple[bytes, bytes]:
    """An answer that never has a body, such as 204: the bytes before the Date header, and those after it."""
    reason = HTTPStatus(status).phrase
    before = f"HTTP/1.1 {status} {reason}\r\nCache-Control: {NO_STORE}\r\n".encode()
    return before, header_lines(headers) + b"\r\n"


def header_lines(headers: Mapping[str, str]) -> bytes:
    """Headers as bytes, each with its line end."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()


# Cached by the identity of the problem: equal refusals share one object (`decision_answers.problem_of`).
@lru_cache(maxsize=512)
def _problem_parts(problem: Problem, language: Language) -> tuple[bytes, bytes]:
    """The bytes of the answer before the Date header, and those after it but for `Vary`."""
    body = problem.body(language)
    headers = {"Content-Language": language.value, **problem.headers}
    return head(problem.status, PROBLEM_CONTENT_TYPE, len(body)), header_lines(headers) + b"\r\n" + body


@lru_cache(maxsize=1024)
def head(status: int, content_type: str, length: int, cache_control: str = NO_STORE) -> bytes:
    """The status line and the headers of every answer, without Date and the empty line."""
    reason = HTTPStatus(status).phrase
    return (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n"
        f"Cache-Control: {cache_control}\r\n"
    ).encode()


@lru_cache(maxsize=2)
def date_line(now_seconds: int) -> bytes:
    """The Date header (RFC 9110, section 6.6.1) with its line end."""
    return f"Date: {formatdate(now_seconds, usegmt=True)}\r\n".encode()
