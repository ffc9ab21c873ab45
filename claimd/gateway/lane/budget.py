"""Bounds how many claims the lane takes in one iteration of the event loop; the others wait for the next, in order.

Without a bound an iteration lasts for as long as clients send: uvloop reads a socket for as long as bytes arrive, and
a client that is rejected at once sends its next request at once. Meanwhile no reply of the server is read, and all
calls time out.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

# About 0.7 ms of work. A call to the server takes a few iterations to be sent and read: with 512 claims an iteration,
# a third of the grants was lost under overload, and nothing was gained elsewhere.
CLAIMS_PER_ITERATION: Final = 64


class ClaimSubmitter(Protocol):
    """A connection whose claim waits for a later iteration."""

    def submit_claim(self, round_id: str, pass_text: str) -> None:
        """Verify the pass and submit the claim."""
        ...


class LoopBudget:
    """The claims that the current iteration may still take, and those that wait for the next one.

    `call_soon` is the event loop's; `most` is the number of claims an iteration.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object], most: int = CLAIMS_PER_ITERATION) -> None:
        self._call_soon = call_soon
        self._most = most
        self._left = most
        self._waiting: deque[tuple[ClaimSubmitter, str, str]] = deque()

    def __len__(self) -> int:
        """The number of claims that wait for a later iteration."""
        return len(self._waiting)

    def take(self) -> bool:
        """Take one claim from the budget of this iteration; False where nothing is left of it."""
        left = self._left
        if left == self._most:
            self._call_soon(self._begin_iteration)
        elif not left:
            return False
        self._left = left - 1
        return True

    def defer(self, submitter: ClaimSubmitter, round_id: str, pass_text: str) -> None:
        """Have a claim submitted in a later iteration, after those that wait already."""
        self._waiting.append((submitter, round_id, pass_text))

    def _begin_iteration(self) -> None:
        waiting = self._waiting
        first = min(self._most, len(waiting))
        self._left = self._most - first
        if first:
            self._call_soon(self._begin_iteration)
        for _ in range(first):
            submitter, round_id, pass_text = waiting.popleft()
            submitter.submit_claim(round_id, pass_text)
