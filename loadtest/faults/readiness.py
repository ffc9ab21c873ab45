"""A load balancer's view: asks `/readyz` all the time, and keeps what it was told and when."""

import asyncio
import time
from contextlib import suppress
from typing import Final, Self

_EVERY_SECONDS: Final = 0.02
_ANSWER_SECONDS: Final = 5.0


class Readiness:
    """Of the gateways on a port; use it with `async with`.

    `told` has a triple for each question: asked at, answered at, status, which is 0 for no answer.
    """

    def __init__(self, port: int) -> None:
        self.told: list[tuple[float, float, int]] = []
        self._port = port
        self._asking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._asking = asyncio.create_task(self._ask_on())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    @property
    def newest(self) -> int:
        """The newest status, 0 while nothing was told."""
        return self.told[-1][2] if self.told else 0

    def between(self, begin: float, end: float) -> set[int]:
        """The statuses of questions that were asked and answered between these moments."""
        return {status for asked, answered, status in self.told if begin <= asked and answered <= end}

    async def _ask_on(self) -> None:
        while True:
            asked = time.monotonic()
            status = await self._ask()
            self.told.append((asked, time.monotonic(), status))
            await asyncio.sleep(_EVERY_SECONDS)

    async def _ask(self) -> int:
        with suppress(OSError, EOFError, ValueError, TimeoutError):
            async with asyncio.timeout(_ANSWER_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    writer.write(b"GET /readyz HTTP/1.1\r\nHost: claimd\r\nConnection: close\r\n\r\n")
                    return int((await reader.read(65536))[9:12])
                finally:
                    writer.transport.abort()
        return 0
