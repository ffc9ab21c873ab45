"""The view of a load balancer: polls `/readyz` 50 times a second and records each status."""

import asyncio
import time
from contextlib import suppress
from typing import Final, NamedTuple, Self

_INTERVAL_SECONDS: Final = 0.02
_TIMEOUT_SECONDS: Final = 5.0


class _Sample(NamedTuple):
    """One request: monotonic times in seconds, and the status, 0 without an answer."""

    sent_at: float
    answered_at: float
    status: int


class Readiness:
    """Polls the gateways on a port. Use it with `async with`; leaving it stops the polling."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._samples: list[_Sample] = []
        self._polling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._polling = asyncio.create_task(self._poll_forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)

    @property
    def latest_status(self) -> int:
        """The status of the latest sample; 0 without an answer, or before the first sample."""
        return self._samples[-1].status if self._samples else 0

    def statuses_between(self, begin: float, end: float) -> set[int]:
        """Return the statuses of the requests that were sent and answered between two monotonic times."""
        return {sample.status for sample in self._samples if begin <= sample.sent_at and sample.answered_at <= end}

    async def _poll_forever(self) -> None:
        while True:
            sent_at = time.monotonic()
            status = await self._poll()
            self._samples.append(_Sample(sent_at, time.monotonic(), status))
            await asyncio.sleep(_INTERVAL_SECONDS)

    async def _poll(self) -> int:
        with suppress(OSError, EOFError, ValueError, TimeoutError):
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    writer.write(b"GET /readyz HTTP/1.1\r\nHost: claimd\r\nConnection: close\r\n\r\n")
                    return int((await reader.read(65536))[9:12])
                finally:
                    writer.transport.abort()
        return 0
