"""Checks that tests make on answers."""

import json
import re
from typing import Any

import aiohttp

PROBLEM = "application/problem+json"
JSON = "application/json"
# RFC 3339 in UTC with milliseconds, the form of every time in an answer.
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
CLAIM_FIELDS = {"round", "id", "serial", "claimed_at"}
ROUND_FIELDS = {
    "id",
    "title",
    "status",
    "total",
    "issued",
    "remaining",
    "opens_at",
    "closes_at",
    "paused",
    "pack",
}
OPERATOR_ROUND_FIELDS = ROUND_FIELDS | {"version", "eligibility", "campaign"}


def checked_problem(status: int, content_type: str, body: bytes, code: str) -> dict[str, Any]:
    """The document of a problem, after the checks that hold for every problem."""
    document: dict[str, Any] = json.loads(body)
    assert (document["code"], document["status"]) == (code, status), document
    assert content_type == PROBLEM
    assert document["type"]
    assert document["title"]
    assert b"Traceback" not in body
    return document


async def problem(answer: aiohttp.ClientResponse, status: int, code: str) -> dict[str, Any]:
    """The document of a problem of that status and code; fails for any other answer."""
    body = await answer.read()
    assert answer.status == status, body
    return checked_problem(answer.status, answer.headers["Content-Type"], body, code)


async def good(answer: aiohttp.ClientResponse, status: int = 200) -> dict[str, Any]:
    """The document of an answer of that status that is no problem."""
    body = await answer.read()
    assert answer.status == status, body
    assert answer.content_type == JSON
    document: dict[str, Any] = json.loads(body)
    return document
