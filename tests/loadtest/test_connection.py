"""One connection of the crowd: what it takes for an answer, however it comes, and what it takes for the end."""

import select
import socket
from contextlib import contextmanager

import pytest

from loadtest.client.connection import Connection

HEAD = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
WHOLE = HEAD + b"Content-Length: 4\r\n\r\nbody"


class Asked:
    """A connection with a request under way, the server's end of it, and what was heard."""

    def __init__(self, connection, server, heard):
        self.connection, self.server, self.heard = connection, server, heard

    def say(self, data):
        """The server sends this; the connection reads it."""
        self.server.sendall(data)
        self.read()

    def read(self):
        """Once there is something to read."""
        assert select.select([self.connection.fd], [], [], 10)[0]
        self.connection.read()


@pytest.fixture
def asked():
    with asking() as asked:
        yield asked


@contextmanager
def asking():
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection(
            listener.getsockname(), lambda _, *answer: heard.append(answer), lambda _: heard.append("lost")
        )
        server, _ = listener.accept()
        with server:
            connection.row = 0
            yield Asked(connection, server, heard)
        connection.close()


@pytest.mark.parametrize("cut", range(1, len(WHOLE)))
def test_an_answer_may_come_in_pieces(asked, cut):
    """Wherever it was cut."""
    asked.say(WHOLE[:cut])
    assert asked.heard == []
    asked.say(WHOLE[cut:])
    assert asked.heard == [(b"201", b"body", False)]
    asked.say(WHOLE)
    assert asked.heard == [(b"201", b"body", False)] * 2


def test_an_answer_longer_than_a_read(asked):
    """Nobody promised that answers are small."""
    asked.server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    asked.server.sendall(HEAD + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000)
    while not asked.heard:
        asked.read()
    assert asked.heard == [(b"201", b"x" * 100_000, False)]


@pytest.mark.parametrize("spelt", [b"content-length:4", b"CONTENT-LENGTH:  4 ", b"Date: now\r\nContent-Length: 4"])
def test_heads_are_spelt_in_many_ways(asked, spelt):
    """All of them HTTP."""
    asked.say(HEAD + spelt + b"\r\n\r\nbody")
    assert asked.heard == [(b"201", b"body", False)]


def test_a_server_that_closes_says_so(asked):
    """Then nothing more may be sent on it."""
    asked.say(b"HTTP/1.1 408 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    assert asked.heard == [(b"408", b"", True)]


@pytest.mark.parametrize(
    "said",
    [
        HEAD + b"Content-Length: 3\r\n\r\nbody",
        HEAD + b"\r\nbody",
        HEAD + b"Content-Length: many\r\n\r\nbody",
        HEAD + b"Content-Length: -4\r\n\r\n",
        b"SSH-2.0 x\r\nContent-Length: 4\r\n\r\nbody",
    ],
    ids=["more than it said", "no length", "no number", "less than nothing", "another protocol"],
)
def test_what_is_no_answer_ends_the_connection(said):
    """Twice, because a head that was seen before is not looked at again."""
    for _ in range(2):
        with asking() as asked:
            asked.say(said)
            assert asked.heard == ["lost"]
            assert asked.connection.lost


def test_an_answer_nobody_asked_for_ends_the_connection(asked):
    """It would be taken for the next one's."""
    asked.connection.row = -1
    asked.say(WHOLE)
    assert asked.heard == ["lost"]


def test_a_server_that_hangs_up_ends_the_connection(asked):
    """In the middle of an answer, too."""
    asked.say(WHOLE[:-1])
    asked.server.close()
    asked.read()
    assert asked.heard == ["lost"]
    assert not asked.connection.send(b"request")
