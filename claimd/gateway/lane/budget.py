"""Bounds the work that the lane takes in one iteration of the event loop; other requests wait for the next, in order.

Without a bound an iteration lasts for as long as clients send: uvloop reads a socket for as long as bytes arrive, and
a client that is rejected at once sends its next request at once. Meanwhile no reply of the server is read, and all
calls time out.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

# About 0.7 ms of work, counted in claims. A call to the server takes a few iterations to be sent and read: with 512
# claims an iteration, a third of the grants was lost under overload, and nothing was gained elsewhere.
WORK_PER_ITERATION: Final = 64


class Deferred(Protocol):
    """A connection whose request waits for a later iteration."""

    def serve(self) -> None:
        """Serve the request that waits."""
        ...


class LoopBudget:
    """The work that the current iteration may still take, and the requests that wait for the next one.

    `call_soon` is the event loop's; `most` is the work of an iteration. It takes a little more where a request comes
    last that needs more than is left.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object], most: int = WORK_PER_ITERATION) -> None:
        self._call_soon = call_soon
        self._most = most
        self._left = most
        self._waiting: deque[tuple[Deferred, int]] = deque()

    def __len__(self) -> int:
        """The number of requests that wait for a later iteration."""
        return len(self._waiting)

    def take(self, work: int = 1) -> bool:
        """Take a request from the budget of this iteration; False where nothing is left of it."""
        left = self._left
        if left == self._most:
            self._call_soon(self._begin_iteration)
        elif left <= 0:
            return False
        self._left = left - work
        return True

    def defer(self, connection: Deferred, work: int = 1) -> None:
        """Have a request served in a later iteration, after those that wait already."""
        self._waiting.append((connection, work))

    def _begin_iteration(self) -> None:
        waiting = self._waiting
        self._left = self._most
        if not waiting:
            return
        self._call_soon(self._begin_iteration)
        while waiting and self._left > 0:
            connection, work = waiting.popleft()
            self._left -= work
            connection.serve()
