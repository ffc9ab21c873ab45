"""The sweep that closes the connections of slow clients, at both doors.

One sweep a second checks every open connection: a timer for each of thousands would cost more.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from claimd.contract.limits import ANSWER_SECONDS

_SWEEP_SECONDS = 1.0


# A sweep of thousands of connections is spread over its second, so that no claim waits for all of it.
_MOST_STEPS = 200


_SWEPT_AT_ONCE = 10


class Connection(Protocol):
    """An open connection that can be swept."""

    def sweep(self, now: float) -> None:
        """Close the connection if its client took too long; `now` is the loop's time in seconds."""
        ...


class Door(Protocol):
    """One of the two ways into a process: makes the protocols of connections, and closes them."""

    @property
    def connections(self) -> Collection[Connection]:
        """The connections that are open at this door."""
        ...

    def connection(self) -> asyncio.Protocol:
        """A protocol for a connection that was just accepted."""
        ...

    async def stop(self) -> None:
        """Close each connection, after the answer it waits for if there is one. Return when all are closed."""
        ...


class UnreadAnswers:
    """Notices, from sweep to sweep, that a client reads nothing of its answers."""

    __slots__ = ("_bytes", "_since")

    def __init__(self) -> None:
        self._bytes = 0
        self._since = 0.0

    def stuck(self, unread_bytes: int, now: float) -> bool:
        """Whether the client read nothing for too long; `unread_bytes` are in the write buffer, `now` is loop time."""
        if not self._bytes or unread_bytes < self._bytes:
            self._since = now
        self._bytes = unread_bytes
        return unread_bytes > 0 and self._since < now - ANSWER_SECONDS

    def taken(self) -> None:
        """Note that the client has read some bytes, even if more are unread than before."""
        self._bytes = 0


async def keep_sweeping(doors: Iterable[Door]) -> None:
    """Sweep all doors once a second, until cancelled."""
    clock = asyncio.get_running_loop().time
    while True:
        began = clock()
        await sweep(doors, clock, _SWEEP_SECONDS)
        await asyncio.sleep(max(0.0, began + _SWEEP_SECONDS - clock()))


async def sweep(doors: Iterable[Door], clock: Callable[[], float], seconds: float = 0.0) -> None:
    """Sweep every connection once, in many small steps spread over `seconds`."""
    # A copy: closing a connection changes its collection.
    connections = [connection for door in doors for connection in door.connections]
    at_once = max(_SWEPT_AT_ONCE, -(-len(connections) // _MOST_STEPS))
    for start in range(0, len(connections), at_once):
        now = clock()
        for connection in connections[start : start + at_once]:
            connection.sweep(now)
        await asyncio.sleep(seconds / _MOST_STEPS)
