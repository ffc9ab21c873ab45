"""Bounds the open connections of a process, so that it keeps file descriptors of its own, above all for the server.

A connection beyond the bound is answered 503 and closed, not left in the kernel's queue: its client can go to another
worker at once, and a load balancer sees why. `/healthz` is answered 200, because a restart would not help.
"""

import asyncio
import logging
import re
import resource
import time
from collections.abc import Collection
from dataclasses import replace
from typing import Final, cast

from claimd.contract import details
from claimd.contract.problems import Code
from claimd.http.connections import Door
from claimd.http.cors import Cors
from claimd.http.languages import preferred_language
from claimd.http.most_connections import most_connections
from claimd.http.problems import retry_later
from claimd.http.raw_answers import json_answer, problem_answer
from claimd.metrics.counts import Counts

_MOST_REJECTED_AT_ONCE: Final = 32
# For the client to send its request and to read the answer: a socket closed at once could lose the answer.
_REJECTION_SECONDS: Final = 1.0
_REPORT_SECONDS: Final = 1.0

_HEALTHZ: Final = b"GET /healthz "
# A whole line: a header that is not complete yet is not known.
_ORIGIN: Final = re.compile(rb"(?i)\r\nOrigin:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)")
_ACCEPT_LANGUAGE: Final = re.compile(rb"(?i)\r\nAccept-Language:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)")
_CLOSE: Final = {"Connection": "close"}

_log = logging.getLogger(__name__)


class Admission:
    """Makes the protocol of each accepted connection: the front door's, or one that rejects it."""

    def __init__(self, front: Door, behind: Door, counts: Counts, cors: Cors, most: int | None = None) -> None:
        """`front` makes new connections, `behind` may take them over later; they may be the same door."""
        self._front = front
        self._doors: Collection[Door] = {front, behind}
        self._counts = counts
        self._cors = cors
        self._most = most_connections(resource.getrlimit(resource.RLIMIT_NOFILE)[0]) if most is None else most
        self._rejecting: set[_Rejection] = set()
        self._rejected = 0

    def connection(self) -> asyncio.Protocol:
        """A protocol for a connection that was just accepted."""
        if sum(len(door.connections) for door in self._doors) < self._most:
            return self._front.connection()
        self._note()
        return _Rejection(self._rejecting, self._cors)

    def _note(self) -> None:
        """Count one rejection; the number is logged once a second."""
        self._counts.refusals[Code.OVERLOADED] += 1
        if not self._rejected:
            asyncio.get_running_loop().call_later(_REPORT_SECONDS, self._report)
        self._rejected += 1

    def _report(self) -> None:
        _log.warning(
            "%d connections were rejected: %d are open, which is what the limit of open files allows",
            self._rejected,
            self._most,
        )
        self._rejected = 0


class _Rejection(asyncio.Protocol):
    """Answers the first bytes of a connection with 503; closes when the client has read them, or after a second."""

    def __init__(self, all_of_them: "set[_Rejection]", cors: Cors) -> None:
        self._all = all_of_them
        self._cors = cors
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop for an accepted connection."""
        # uvloop's transports do not inherit from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        if len(self._all) >= _MOST_REJECTED_AT_ONCE:
            self._transport.abort()
            return
        self._all.add(self)
        self._timer = asyncio.get_running_loop().call_later(_REJECTION_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        """Called by the loop with bytes of a request: the first ones are answered, the others ignored."""
        if self._transport is not None:
            self._transport.write(_answer(data, self._cors))
            self._transport.write_eof()
            self._transport = None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - a protocol's shape
        """Called by the loop when the connection is closed."""
        self._transport = None
        self._all.discard(self)
        if self._timer is not None:
            self._timer.cancel()


def _answer(data: bytes, cors: Cors) -> bytes:
    now_seconds = int(time.time())
    lines = cors.lines[_value_of(_ORIGIN, data)]
    if data.startswith(_HEALTHZ):
        return json_answer(200, b'{"status":"ok"}', _CLOSE, now_seconds, lines.answer)
    problem = retry_later(Code.OVERLOADED, details.NO_CONNECTION_LEFT())
    language = preferred_language(_value_of(_ACCEPT_LANGUAGE, data))
    return problem_answer(replace(problem, headers={**_CLOSE, **problem.headers}), now_seconds, language, lines.problem)


def _value_of(header: re.Pattern[bytes], data: bytes) -> bytes:
    """The value of a header in the first bytes of a request; empty where it is not there, or is there twice."""
    end = data.find(b"\r\n\r\n")
    found = header.findall(data if end < 0 else data[: end + 2])
    return found[0] if len(found) == 1 else b""
