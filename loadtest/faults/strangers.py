"""Clients that connect, ask nothing, and connect again when they are closed: they take every connection there is."""

import asyncio
from contextlib import suppress
from typing import Final, Self

_AGAIN_SECONDS: Final = 0.2


class Strangers:
    """`count` of them on a port of this machine; use it with `async with`, which ends them."""

    def __init__(self, port: int, count: int) -> None:
        self.closed = 0
        """How many connections were closed by the other side so far, or not accepted at all."""
        self._port = port
        self._count = count
        self._staying: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._staying = [asyncio.create_task(self._stay()) for _ in range(self._count)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for staying in self._staying:
            staying.cancel()
        await asyncio.gather(*self._staying, return_exceptions=True)

    async def _stay(self) -> None:
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    await reader.read()
                finally:
                    writer.transport.abort()
            self.closed += 1
            await asyncio.sleep(_AGAIN_SECONDS)
