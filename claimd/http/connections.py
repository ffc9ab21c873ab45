"""The open connections of both doors, and the sweep that closes those of clients that take too long.

One sweep a second looks at all of them: a timer for each of thousands would cost more.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from claimd.contract.limits import ANSWER_SECONDS

_SWEEP_SECONDS = 1.0


# A sweep of thousands is spread over its second, or a claim that comes in between would wait for all of it.
_MOST_STEPS = 200


_SWEPT_AT_ONCE = 10


class Connection(Protocol):
    """What is swept."""

    def sweep(self, now: float) -> None:
        """Hang up if the client took too long; `now` is the loop's time."""
        ...


class Door(Protocol):
    """Makes the protocol of each connection that is accepted, and closes them."""

    @property
    def connections(self) -> Collection[Connection]:
        """Those that are open."""
        ...

    def connection(self) -> asyncio.Protocol:
        """A protocol for a connection that was just accepted."""
        ...

    async def stop(self) -> None:
        """Close each connection: now, or after the answer it is waiting for. Return when all are closed."""
        ...


class UnreadAnswers:
    """Whether a client takes what it is answered, seen from one sweep to the next."""

    __slots__ = ("_bytes", "_since")

    def __init__(self) -> None:
        self._bytes = 0
        self._since = 0.0

    def stuck(self, unread_bytes: int, now: float) -> bool:
        """Whether the client took nothing for too long; `unread_bytes` wait to be written to it."""
        if not self._bytes or unread_bytes < self._bytes:
            self._since = now
        self._bytes = unread_bytes
        return unread_bytes > 0 and self._since < now - ANSWER_SECONDS

    def taken(self) -> None:
        """It took some: there may be more unread than before all the same."""
        self._bytes = 0


async def keep_sweeping(doors: Iterable[Door]) -> None:
    """Sweep once a second, for ever."""
    clock = asyncio.get_running_loop().time
    while True:
        began = clock()
        await sweep(doors, clock, _SWEEP_SECONDS)
        await asyncio.sleep(max(0.0, began + _SWEEP_SECONDS - clock()))


async def sweep(doors: Iterable[Door], clock: Callable[[], float], seconds: float = 0.0) -> None:
    """Hang up on every client that took too long, in many small steps spread over `seconds`."""
    # Copied, as hanging up changes the collections.
    connections = [connection for door in doors for connection in door.connections]
    at_once = max(_SWEPT_AT_ONCE, -(-len(connections) // _MOST_STEPS))
    for start in range(0, len(connections), at_once):
        now = clock()
        for connection in connections[start : start + at_once]:
            connection.sweep(now)
        await asyncio.sleep(seconds / _MOST_STEPS)
