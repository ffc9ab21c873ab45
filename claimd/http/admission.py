"""Which connections a process takes: as many as leave it files of its own, for the server above all.

One beyond is answered 503 and closed, not left in the kernel's queue: its client can go to another worker at once, and
a load balancer sees why. `/healthz` is answered all the same, as nothing gets better by a restart of the process.
"""

import asyncio
import logging
import resource
import sys
import time
from collections.abc import Collection
from dataclasses import replace
from typing import Final, cast

from claimd.contract.problems import Code
from claimd.http.connections import Door
from claimd.http.problems import retry_later
from claimd.http.raw_answers import json_answer, problem_answer
from claimd.metrics.counts import Counts

# Up to 60 connections to the server, those that are being answered 503, and sockets, pipes and files of the process.
RESERVED_FILES: Final = 128
_MOST_REJECTED_AT_ONCE: Final = 32
# For the client to send its request, and then to read the answer: closed at once, the answer might be lost.
_REJECTION_SECONDS: Final = 1.0
_REPORT_SECONDS: Final = 1.0

_HEALTHZ: Final = b"GET /healthz "
_CLOSE: Final = {"Connection": "close"}

_log = logging.getLogger(__name__)


def most_connections(open_files: int) -> int:
    """How many connections a process takes at a time that may have so many files open."""
    if open_files == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(open_files - RESERVED_FILES, open_files // 2)


class Admission:
    """Makes the protocol of each connection that is accepted: the door's, or one that rejects it."""

    def __init__(self, front: Door, behind: Door, counts: Counts, most: int | None = None) -> None:
        """`front` is where a connection begins, `behind` is where it may end up; they may be the same."""
        self._front = front
        self._doors: Collection[Door] = {front, behind}
        self._counts = counts
        self._most = most_connections(resource.getrlimit(resource.RLIMIT_NOFILE)[0]) if most is None else most
        self._rejecting: set[_Rejection] = set()
        self._rejected = 0

    def connection(self) -> asyncio.Protocol:
        """A protocol for a connection that was just accepted."""
        if sum(len(door.connections) for door in self._doors) < self._most:
            return self._front.connection()
        self._note()
        return _Rejection(self._rejecting)

    def _note(self) -> None:
        """Count one, and log the number once a second."""
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
    """Answers the first bytes that come, and hangs up when the client has read the answer, or after a second."""

    def __init__(self, all_of_them: "set[_Rejection]") -> None:
        self._all = all_of_them
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted."""
        # uvloop's transports are none of asyncio's by descent.
        self._transport = cast(asyncio.Transport, transport)
        if len(self._all) >= _MOST_REJECTED_AT_ONCE:
            self._transport.abort()
            return
        self._all.add(self)
        self._timer = asyncio.get_running_loop().call_later(_REJECTION_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request: the first of them are answered."""
        if self._transport is not None:
            self._transport.write(_answer(data))
            self._transport.write_eof()
            self._transport = None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - a protocol's shape
        """Gone."""
        self._transport = None
        self._all.discard(self)
        if self._timer is not None:
            self._timer.cancel()


def _answer(data: bytes) -> bytes:
    now_seconds = int(time.time())
    if data.startswith(_HEALTHZ):
        return json_answer(200, b'{"status":"ok"}', _CLOSE, now_seconds)
    problem = retry_later(Code.OVERLOADED, "All connections are in use.")
    return problem_answer(replace(problem, headers={**_CLOSE, **problem.headers}), now_seconds)
