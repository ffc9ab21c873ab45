"""Waiting for a condition: it is polled, and gives up after a minute."""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

import psutil

PATIENCE_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.005


class ViolationError(Exception):
    """A violation that the history does not show: readiness that is wrong, an orphan process, no recovery in time."""


async def until(condition: Callable[[], Any], what: str) -> None:
    """Return when `condition` holds. Raises ViolationError, with `what` was awaited, after a minute."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise ViolationError(f"waited {PATIENCE_SECONDS:g} s in vain: {what}")
        await asyncio.sleep(_POLL_SECONDS)


async def until_gone(processes: Iterable[psutil.Process], what: str) -> None:
    """Return when none of the processes is alive. Raises ViolationError after a minute."""
    awaited = list(processes)
    await until(lambda: not any(map(is_alive, awaited)), what)


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs or is suspended; a zombie does neither."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False
