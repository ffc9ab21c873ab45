"""How many claims are taken in one turn of the loop. Those beyond wait for the next turns, in the order they came.

Without a bound a turn lasts as long as anybody asks: uvloop reads what has come for as long as more comes, and who is
refused at once asks again. Meanwhile no reply of the server is looked at, and all calls seem to fail.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

# Some 0.7 ms. A call of the server takes a few turns to be sent and read: with 512 in a turn, that was a third of the
# grants where most people are refused, and nothing was gained by it elsewhere.
MOST_IN_A_TURN = 64


class Asking(Protocol):
    """Who waits for a turn."""

    def ask(self, round_id: str, shown: str) -> None:
        """It has come."""
        ...


class Turns:
    """The turns of one loop, of which `call_soon` is the loop's."""

    def __init__(self, call_soon: Callable[[Callable[[], None]], object], most: int = MOST_IN_A_TURN) -> None:
        self._call_soon = call_soon
        self._most = most
        self._left = most
        self._waiting: deque[tuple[Asking, str, str]] = deque()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def take(self) -> bool:
        """Whether one more may ask in this turn."""
        left = self._left
        if left == self._most:
            self._call_soon(self._begin)
        elif not left:
            return False
        self._left = left - 1
        return True

    def wait(self, asking: Asking, round_id: str, shown: str) -> None:
        """Have somebody ask in a later turn."""
        self._waiting.append((asking, round_id, shown))

    def _begin(self) -> None:
        waiting = self._waiting
        first = min(self._most, len(waiting))
        self._left = self._most - first
        if first:
            self._call_soon(self._begin)
        for _ in range(first):
            asking, round_id, shown = waiting.popleft()
            asking.ask(round_id, shown)
