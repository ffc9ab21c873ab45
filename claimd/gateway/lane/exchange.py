"""What the lane's handlers see of a connection: one request, and the ways to answer it."""

from collections.abc import Callable
from typing import Protocol

from claimd.gateway.context import Context
from claimd.gateway.lane.request import Target
from claimd.gateway.lane.shapes import Head
from claimd.http.problems import Problem


class Exchange(Protocol):
    """One request whose answer is due, now or later. An answer to a client that has left is dropped."""

    @property
    def target(self) -> Target:
        """What the request asks for."""
        ...

    @property
    def head(self) -> Head:
        """What its head says besides."""
        ...

    def answer(self, before_date: bytes, *body: bytes) -> None:
        """Send an answer that is no problem: its head up to `Date`, and the parts of its body."""
        ...

    def refuse(self, problem: Problem) -> None:
        """Send a problem, in the client's language."""
        ...

    def reject(self, problem: Problem) -> None:
        """Count a problem, and send it. Refusals of claims are counted by the engine: `refuse` is for them."""
        ...

    def send(self, answer: bytes) -> None:
        """Send a whole answer, as it is."""
        ...

    def leave_to_aiohttp(self) -> None:
        """Hand the connection over with the request. The handler calls it before it returns, or never."""
        ...


# Answers a request, at once or later. Must not block or raise.
Handler = Callable[[Context, Exchange], None]
