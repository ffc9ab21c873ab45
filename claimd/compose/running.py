"""What runs beside a role until it is stopped, and what may still run for a moment then."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from claimd.supervisor.signals import StopRequest


def stop_request() -> StopRequest:
    """The request to stop that SIGTERM makes, from now on."""
    request = StopRequest()
    request.install()
    return request


async def cancel(task: asyncio.Task[None]) -> None:
    """Cancel a task that logs its own failures, and wait until it has ended."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def run_at_most(seconds: float, work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine, and cancel it after so many seconds. One that swallows its cancellation is not waited for."""
    task = asyncio.create_task(work)
    await asyncio.wait({task}, timeout=seconds)
    task.cancel()


@contextlib.asynccontextmanager
async def running(*jobs: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run jobs that never return, until the block ends."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
