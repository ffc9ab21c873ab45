"""Waiting for what must come: never a fixed time, and never for ever."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

PATIENCE_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.005


class BrokenPromiseError(Exception):
    """Something that the history does not show: no readiness told, an orphan left, nothing served in time."""


async def until(condition: Callable[[], Any], what: str) -> None:
    """Return when it holds. Raises BrokenPromiseError after a minute."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise BrokenPromiseError(f"waited {PATIENCE_SECONDS:g} s in vain: {what}")
        await asyncio.sleep(_POLL_SECONDS)
