"""HTTP over bare sockets, for requests that no well-behaved client sends."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from tests.contract.conformance import check_problem_document
from tests.patience import PATIENCE_SECONDS


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; header names in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def status(self) -> int:
        """The status code."""
        return int(self.line.split()[1])

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Raw:
    """A connection. A bare socket: asyncio's streams drop unread answers as soon as they cannot send any more."""

    def __init__(self, client: socket.socket) -> None:
        self._socket = client
        self._loop = asyncio.get_running_loop()
        self._unread = b""

    async def send(self, data: bytes) -> bool:
        """Send bytes; False where the server has closed the connection already."""
        try:
            await self._loop.sock_sendall(self._socket, data)
        except ConnectionError:
            return False
        return True

    def finish(self) -> None:
        """Close the sending side, and go on reading."""
        self._socket.shutdown(socket.SHUT_WR)

    async def answer(self, *, bodiless: bool = False) -> Answer:
        """The next answer. Raises AssertionError where the server closes the connection instead."""
        answer = await self.answer_or_end(bodiless=bodiless)
        assert answer is not None, "the server has closed the connection"
        return answer

    async def answer_or_end(self, *, bodiless: bool = False) -> Answer | None:
        """The next answer; None where the server closes the connection. `bodiless` for the answer to HEAD."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while b"\r\n\r\n" not in self._unread:
                if not await self._receive():
                    assert not self._unread, f"cut off: {self._unread!r}"
                    return None
            head, _, self._unread = self._unread.partition(b"\r\n\r\n")
            line, *fields = head.decode("latin-1").split("\r\n")
            assert line.startswith("HTTP/"), f"no answer begins like this: {line!r}"
            headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
            assert len(headers) == len(fields), f"a header is there twice: {fields}"
            assert line.split()[1] == "100" or "cache-control" in headers, f"a cache may keep this: {head!r}"
            length = 0 if bodiless else int(headers.get("content-length", "0"))
            while len(self._unread) < length:
                assert await self._receive(), f"cut off: {head!r} {self._unread!r}"
            body, self._unread = self._unread[:length], self._unread[length:]
            answer = Answer(line, headers, body)
            if not bodiless and answer.status >= HTTPStatus.BAD_REQUEST:
                check_problem_document(answer.status, headers, body)
            return answer

    async def has_ended(self) -> bool:
        """Whether the server closes the connection without another byte."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return not self._unread and not await self._receive()

    async def rest(self) -> bytes:
        """All bytes until the server closes the connection."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self._receive():
                pass
            return self._unread

    async def some(self) -> bytes:
        """The next bytes, whatever they are; empty where the server has closed the connection."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            if not self._unread:
                await self._receive()
        some, self._unread = self._unread, b""
        return some

    async def _receive(self) -> bool:
        try:
            data = await self._loop.sock_recv(self._socket, 65_536)
        except ConnectionError:
            return False
        self._unread += data
        return bool(data)


async def until(condition: Callable[[], Any]) -> Any:
    """The first true value of `condition`, which anything that happens in this loop may change."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (value := condition()):  # noqa: ASYNC110 - there is no event for the condition
            await asyncio.sleep(0)
    return value


@asynccontextmanager
async def connected(port: int, *, receive_bytes: int = 0) -> AsyncIterator[Raw]:
    """A connection to a server of the tests; `receive_bytes` is the size of its receive buffer, if not the usual."""
    with socket.socket() as client:
        client.setblocking(False)
        if receive_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
        yield Raw(client)
