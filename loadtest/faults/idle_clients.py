"""Clients that connect, send nothing, and connect again when they are closed: they take every connection there is."""

import asyncio
from contextlib import suppress
from typing import Final, Self

_RECONNECT_SECONDS: Final = 0.2


class IdleClients:
    """`count` clients of a port on 127.0.0.1. Use it with `async with`; leaving it closes them."""

    def __init__(self, port: int, count: int) -> None:
        self.closed = 0
        """How many connections the other side has closed or not accepted so far."""
        self._port = port
        self._count = count
        self._clients: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._clients = [asyncio.create_task(self._stay_connected()) for _ in range(self._count)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _stay_connected(self) -> None:
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    await reader.read()
                finally:
                    writer.transport.abort()
            self.closed += 1
            await asyncio.sleep(_RECONNECT_SECONDS)
