"""A proxy that passes on each reply of a server a fixed time after it came, as a server with a slow fsync would.

`python -m loadtest.overload.slow_server PORT SOCKET DELAY_MS` listens on 127.0.0.1 and connects to the server's unix
socket, until it is stopped. Requests are passed on at once: calls in flight at the same time are late by the same time.
"""

import asyncio
import sys
from collections import deque
from typing import Final, cast

import uvloop

_BACKLOG: Final = 512


class _Server(asyncio.Protocol):
    """The connection to the server."""

    def __init__(self, client: asyncio.Transport, delay_seconds: float) -> None:
        self._client = client
        self._delay_seconds = delay_seconds
        self._loop = asyncio.get_running_loop()
        # Replies in order: two timers of the same moment may fire in either order.
        self._replies: deque[bytes] = deque()

    def data_received(self, data: bytes) -> None:
        """Pass on a reply, or a part of one, after the delay."""
        self._replies.append(data)
        self._loop.call_later(self._delay_seconds, self._pass_on)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Close the connection to claimd."""
        self._client.close()

    def _pass_on(self) -> None:
        self._client.write(self._replies.popleft())


class _Client(asyncio.Protocol):
    """The connection from claimd, whose requests are passed on at once."""

    def __init__(self, path: str, delay_seconds: float) -> None:
        self._path = path
        self._delay_seconds = delay_seconds
        self._server: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect to the server that stands behind."""
        self._connecting = asyncio.ensure_future(self._connect(cast(asyncio.Transport, transport)))

    def data_received(self, data: bytes) -> None:
        """Pass on a request, or a part of one, at once."""
        if self._server is None:
            self._early.append(data)
        else:
            self._server.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Close the connection to the server."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._server is not None:
            self._server.close()

    async def _connect(self, client: asyncio.Transport) -> None:
        try:
            server, _ = await asyncio.get_running_loop().create_unix_connection(
                lambda: _Server(client, self._delay_seconds), self._path
            )
        except OSError:
            client.close()
            return
        self._server = server
        server.writelines(self._early)
        self._early.clear()


async def _serve(port: int, path: str, delay_seconds: float) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: _Client(path, delay_seconds), "127.0.0.1", port, backlog=_BACKLOG
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]) / 1000))
