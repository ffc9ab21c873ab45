"""One connection of the crowd: which bytes it takes for an answer, and which end it."""

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from loadtest.client.connection import Connection

HEAD = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
WHOLE = HEAD + b"Content-Length: 4\r\n\r\nbody"


class PageQuery:
    """A connection with a request under way, the server's end of it, and the calls of its callbacks."""

    def __init__(self, connection: Connection, server: socket.socket, heard: list[Any]) -> None:
        self.connection, self.server, self.heard = connection, server, heard

    def send(self, data: bytes) -> None:
        """Send from the server's end, and let the connection read it."""
        self.server.sendall(data)
        self.read()

    def read(self) -> None:
        """Wait for data and let the connection read it."""
        assert select.select([self.connection.fd], [], [], 10)[0]
        self.connection.read()


@pytest.fixture
def asked() -> Iterator[PageQuery]:
    """One connection with a request under way."""
    with asking() as asked:
        yield asked


@contextmanager
def asking() -> Iterator[PageQuery]:
    """The same for a test that needs several."""
    heard: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection(
            listener.getsockname(), lambda _, *answer: heard.append(answer), lambda _: heard.append("lost")
        )
        server, _ = listener.accept()
        with server:
            connection.row = 0
            yield PageQuery(connection, server, heard)
        connection.close()


@pytest.mark.parametrize("cut", range(1, len(WHOLE)))
def test_an_answer_may_come_in_pieces(asked: PageQuery, cut: int) -> None:
    """Cut at any byte; the next answer is read as well."""
    asked.send(WHOLE[:cut])
    assert asked.heard == []
    asked.send(WHOLE[cut:])
    assert asked.heard == [(b"201", b"body", False)]
    asked.send(WHOLE)
    assert asked.heard == [(b"201", b"body", False)] * 2


def test_an_answer_longer_than_a_read(asked: PageQuery) -> None:
    """Answers may be larger than the receive buffer."""
    asked.server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    asked.server.sendall(HEAD + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000)
    while not asked.heard:
        asked.read()
    assert asked.heard == [(b"201", b"x" * 100_000, False)]


@pytest.mark.parametrize("spelt", [b"content-length:4", b"CONTENT-LENGTH:  4 ", b"Date: now\r\nContent-Length: 4"])
def test_heads_are_spelt_in_many_ways(asked: PageQuery, spelt: bytes) -> None:
    """Names in any case, spaces around values, other headers between."""
    asked.send(HEAD + spelt + b"\r\n\r\nbody")
    assert asked.heard == [(b"201", b"body", False)]


def test_connection_close_reaches_the_owner(asked: PageQuery) -> None:
    """The owner must not send on it any more."""
    asked.send(b"HTTP/1.1 408 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    assert asked.heard == [(b"408", b"", True)]


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"Content-Length: 3\r\n\r\nbody",
        HEAD + b"\r\nbody",
        HEAD + b"Content-Length: many\r\n\r\nbody",
        HEAD + b"Content-Length: -4\r\n\r\n",
        b"SSH-2.0 x\r\nContent-Length: 4\r\n\r\nbody",
    ],
    ids=["more than announced", "no length", "no number", "less than nothing", "another protocol"],
)
def test_what_is_no_answer_ends_the_connection(data: bytes) -> None:
    """Read twice, as the second time the head is from a cache."""
    for _ in range(2):
        with asking() as asked:
            asked.send(data)
            assert asked.heard == ["lost"]
            assert asked.connection.lost


def test_an_answer_without_a_request_ends_the_connection(asked: PageQuery) -> None:
    """It would be taken for the answer to the next request."""
    asked.connection.row = -1
    asked.send(WHOLE)
    assert asked.heard == ["lost"]


def test_a_close_by_the_server_ends_the_connection(asked: PageQuery) -> None:
    """Also in the middle of an answer."""
    asked.send(WHOLE[:-1])
    asked.server.close()
    asked.read()
    assert asked.heard == ["lost"]
    assert not asked.connection.send(b"request")
