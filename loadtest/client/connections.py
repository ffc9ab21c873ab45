"""The connections of a load: opened together, watched by one epoll, closed together.

This is all that the loads of this folder share. What they do with an answer differs where it costs the most: `Flood`
fills arrays, tens of thousands of rows a second; `ClosedLoop` keeps bodies for the bench's audit; `OpenLoop` waits with
`select`, as epoll counts in milliseconds and its latencies are below one. The drop's dispatcher runs inside gevent and
has an epoll of its own. One driver for all would add a call for each answer, or change the figures.
"""

import select
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Final

from loadtest.client.connection import Connection, LoadError

# A server that answers nothing for so long hangs; it is not slow.
_SILENCE_SECONDS: Final = 20.0


class Connections:
    """Keep-alive connections to 127.0.0.1."""

    def __init__(
        self,
        port: int,
        count: int,
        on_answer: Callable[[Connection, bytes, bytes, bool], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        """Connect `count` times; see `Connection` for the callbacks. Raises LoadError."""
        self.by_fd: dict[int, Connection] = {}
        self._epoll = select.epoll()
        try:
            for _ in range(count):
                connection = Connection(("127.0.0.1", port), on_answer, on_lost)
                self.by_fd[connection.fd] = connection
                self._epoll.register(connection.fd, select.EPOLLIN)
        except OSError as error:
            self.close()
            raise LoadError(f"{len(self.by_fd)} of {count} connections to port {port} came up: {error}") from None

    def __len__(self) -> int:
        """The number of connections that are open."""
        return len(self.by_fd)

    def __iter__(self) -> Iterator[Connection]:
        """The open connections at this moment."""
        return iter(list(self.by_fd.values()))

    def read_ready(self, seconds: float, most: int = -1) -> bool:
        """Wait up to `seconds` for answers and read at most `most` connections; False where none had anything."""
        ready = self._epoll.poll(seconds, most)
        by_fd = self.by_fd
        for fd, _ in ready:
            by_fd[fd].read()
        return bool(ready)

    def forget(self, connection: Connection) -> None:
        """Remove a closed connection; closing its socket has taken it out of the epoll."""
        self.by_fd.pop(connection.fd, None)

    def close(self) -> None:
        """Close all connections, answered or not."""
        for connection in self.by_fd.values():
            connection.close()
        self._epoll.close()


class Patience:
    """Raises LoadError once requests have been under way for 20 s without any answer."""

    def __init__(self) -> None:
        self._heard = perf_counter()

    def renew(self) -> None:
        """An answer came, or no request is under way."""
        self._heard = perf_counter()

    def check(self, under_way: int) -> None:
        """Raise LoadError where the time is up; `under_way` requests wait for an answer."""
        if perf_counter() - self._heard > _SILENCE_SECONDS:
            raise LoadError(f"{under_way} requests were not answered in {_SILENCE_SECONDS:g} s")
