"""Answers as bytes for connections that are not aiohttp's: heads are built once, and the date once a second."""

from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus


def answer(status: int, content_type: str, body: bytes, now_seconds: int, headers: Mapping[str, str]) -> bytes:
    """A whole HTTP/1.1 answer that keeps the connection open."""
    extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() if headers else b""
    return b"%b%d\r\n%b%b\r\n%b" % (_head(status, content_type), len(body), _date(now_seconds), extra, body)


@lru_cache(maxsize=64)
def _head(status: int, content_type: str) -> bytes:
    reason = HTTPStatus(status).phrase
    return f"HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: ".encode()


@lru_cache(maxsize=2)
def _date(now_seconds: int) -> bytes:
    """RFC 9110, section 6.6.1."""
    return f"Date: {formatdate(now_seconds, usegmt=True)}\r\n".encode()
