"""Operators that keep changing the stock under load, so that the round is always close to sold out."""

import asyncio
import random
from contextlib import suppress
from typing import Any, Final

from loadtest.target.console_client import ApiError, ConsoleClient

_INTERVAL_SECONDS: Final = 0.1
_MOST_LEFT: Final = 2_000
_REASON: Final = "fault injection"


class Operators:
    """The operators of one round. An edit may fail while a fault is active; the log records which ones were made."""

    def __init__(self, console: ConsoleClient, round_id: str, seed: int = 1) -> None:
        self._console = console
        self._round_id = round_id
        self._random = random.Random(seed)

    async def keep_changing_total(self) -> None:
        """Call `change_total` about ten times a second until cancelled."""
        while True:
            await self.change_total()
            await asyncio.sleep(_INTERVAL_SECONDS * self._random.random() * 2)

    async def change_total(self) -> None:
        """Set the total to the claims issued plus 0 to 2,000. Never raises ApiError."""
        with suppress(ApiError):
            state = await asyncio.to_thread(self._console.round, self._round_id)
            await self.edit({"total": state["issued"] + self._random.randint(0, _MOST_LEFT)})

    async def edit(self, changes: dict[str, Any]) -> None:
        """Edit the round once. Raises ApiError."""
        await asyncio.to_thread(self._console.edit_round, self._round_id, changes | {"reason": _REASON})

    async def command(self, action: str) -> None:
        """Run `pause`, `resume` or `close`. Raises ApiError."""
        await asyncio.to_thread(self._console.command_round, self._round_id, action, _REASON)
