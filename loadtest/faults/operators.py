"""Operators who keep changing the stock while people claim: what is left is always about to run out."""

import asyncio
import random
from contextlib import suppress
from typing import Any, Final

from loadtest.target.console_client import ApiError, ConsoleClient

_EVERY_SECONDS: Final = 0.1
_MOST_LEFT: Final = 2_000


class Operators:
    """Of one round. What they try may fail while things are broken; the log says what was done."""

    def __init__(self, console: ConsoleClient, round_id: str, seed: int = 1) -> None:
        self._console = console
        self._round_id = round_id
        self._random = random.Random(seed)

    async def keep_changing(self) -> None:
        """Set the total to what was issued and a little more, again and again, until cancelled."""
        while True:
            await self.change_total()
            await asyncio.sleep(_EVERY_SECONDS * self._random.random() * 2)

    async def change_total(self) -> None:
        """Set the total to what was issued, and 0 to 2,000 more."""
        with suppress(ApiError):
            state = await asyncio.to_thread(self._console.round, self._round_id)
            total = state["issued"] + self._random.randint(0, _MOST_LEFT)
            await self.edit({"total": total})

    async def edit(self, changes: dict[str, Any]) -> None:
        """One edit. Raises ApiError."""
        await asyncio.to_thread(self._console.edit_round, self._round_id, changes | {"reason": "in the middle of it"})

    async def order(self, verb: str) -> None:
        """`pause`, `resume` or `close`. Raises ApiError."""
        await asyncio.to_thread(self._console.command_round, self._round_id, verb, "in the middle of it")
