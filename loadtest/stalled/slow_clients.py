"""Clients that stall, each in one of four ways, and connect again when they are disconnected. They claim nothing.

`python -m loadtest.stalled.slow_clients PORT COUNT` runs until it is stopped: in a process of its own,
so that it does not delay the process that measures.
"""

import itertools
import os
import socket
import sys
import time
from dataclasses import dataclass
from typing import Final

from claimd.identity.passes import PASS_CHARACTERS

_PORTIONS: Final = 500
_CONNECT_SECONDS: Final = 5.0
# Linux; the first byte of TCP_INFO is the state.
_ESTABLISHED: Final = 1

# Not of `client/requests.py`: heads without an end, which no driver can send.
_CREDENTIALS: Final = b"Host: x\r\nAuthorization: Pass " + b"A" * PASS_CHARACTERS + b"\r\n"
# The express lane answers the one, aiohttp the other.
_HEADS: Final = (
    b"POST /v1/rounds/stalled/claims HTTP/1.1\r\n" + _CREDENTIALS,
    b"GET /v1/rounds/stalled/claims/me HTTP/1.1\r\n" + _CREDENTIALS,
)
# More of them would fill the kernel's buffers, not the gateway's.
_UNREAD_REQUESTS: Final = 3
# Spread out, so that they are disconnected one by one later, too.
_CONNECTS_PER_SECOND: Final = 500.0


@dataclass(frozen=True, slots=True)
class Way:
    """What a client sends when it connects, and what once a second from then on. No client ever reads."""

    first: bytes
    then: bytes = b""


WAYS: Final = tuple(
    itertools.chain.from_iterable(
        (
            Way(head[:-30]),
            Way(head + b"X: ", b"a"),
            Way(head, b"X: a\r\n"),
            Way((head + b"\r\n") * _UNREAD_REQUESTS),
        )
        for head in _HEADS
    )
)


class SlowClient:
    """One client and its present connection, from `starts_at` (monotonic) on."""

    def __init__(self, port: int, way: Way, starts_at: float) -> None:
        self._address = ("127.0.0.1", port)
        self._way = way
        self._starts_at = starts_at
        self._socket: socket.socket | None = None

    def go_on(self, now: float) -> None:
        """Do what it does once a second; connect again where it was disconnected. Called once a second."""
        if now < self._starts_at:
            return
        try:
            if self._socket is None:
                self._connect()
            elif self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED:
                self._socket.close()
                self._connect()
            elif self._way.then:
                self._socket.send(self._way.then)
        except OSError:
            # Disconnected in between, or the server is too busy to accept: try again in a second.
            return

    def _connect(self) -> None:
        self._socket = socket.create_connection(self._address, _CONNECT_SECONDS)
        self._socket.setblocking(False)
        self._socket.send(self._way.first)


def main(port: int, count: int) -> None:
    """Stall for ever, with the processor's idle time only, as the server's time is measured."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    start = time.monotonic()
    clients = [
        SlowClient(port, way, start + number / _CONNECTS_PER_SECOND)
        for number, way in zip(range(count), itertools.cycle(WAYS), strict=False)
    ]
    for portion in itertools.cycle(range(_PORTIONS)):
        began = time.monotonic()
        for client in clients[portion::_PORTIONS]:
            client.go_on(began)
        time.sleep(max(0.0, began + 1 / _PORTIONS - time.monotonic()))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
