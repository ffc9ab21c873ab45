"""The overload's claims: one row for each request that was sent."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from claimd.domain.claims import claim_id
from claimd.domain.times import to_rfc3339
from claimd.identity.passes import PASS_CHARACTERS
from loadtest.client.answers import Answer
from loadtest.client.connection import LoadError
from loadtest.client.flood import Flood

AT_MS = 1_585_857_600_123
OVERLOADED, UNAVAILABLE = (json.dumps({"code": code}).encode() for code in ("overloaded", "unavailable"))


def granted(serial: int) -> bytes:
    """The body of a grant in round "r"."""
    claim = {"round": "r", "id": claim_id("r", serial), "serial": serial, "claimed_at": to_rfc3339(AT_MS)}
    return json.dumps({"claim": claim, "replayed": False}).encode()


# By the first letter of the pass; None closes the connection instead.
ANSWERS = {
    "g": (b"201 Created", granted(7)),
    "o": (b"503 Service Unavailable", OVERLOADED),
    "u": (b"503 Service Unavailable", UNAVAILABLE),
    "w": (b"500 Internal Server Error", b"{}"),
    "d": None,
}


def serve(connection: socket.socket) -> None:
    """Answer every claim on one connection by its pass."""
    with connection:
        while request := connection.recv(65536):
            answer = ANSWERS[request.partition(b"Pass ")[2][:1].decode()]
            if answer is None:
                return
            connection.sendall(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (answer[0], len(answer[1]), answer[1]))


@pytest.fixture
def port() -> Iterator[int]:
    """A gateway that answers from ANSWERS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def passes(letters: str) -> bytes:
    """A packed pass for each letter."""
    return "".join(letter * PASS_CHARACTERS for letter in letters).encode()


def test_each_row_has_its_answer(port: int) -> None:
    """Overloaded and unavailable are distinct, a lost connection is no answer, and only a claim has a serial."""
    with closing(Flood(port, 3, "r")) as flood:
        rows = flood.run(np.zeros(6), passes("gouwdg"), 10.0)
    assert rows.answer.tolist() == [
        Answer.GRANTED,
        Answer.OVERLOADED,
        Answer.UNAVAILABLE,
        Answer.WRONG,
        Answer.DROPPED,
        Answer.GRANTED,
    ]
    assert rows.serials.tolist() == [7, 0, 0, 0, 0, 7]
    assert rows.claimed_at_ms.tolist() == [AT_MS, 0, 0, 0, 0, AT_MS]
    assert (rows.answered >= rows.sent).all()


def test_a_request_without_a_free_connection_is_marked(port: int) -> None:
    """Three are due at once and one connection carries them: the second and third wait for it."""
    with closing(Flood(port, 2, "r")) as flood:
        assert flood.run(np.zeros(3), passes("ggg"), 10.0, connections=1).starved.tolist() == [0, 1, 1]
        assert flood.run(np.zeros(1), passes("g"), 10.0).starved.tolist() == [0]


def test_nothing_is_sent_after_the_time(port: int) -> None:
    """What is due later is not in the rows."""
    with closing(Flood(port, 1, "r")) as flood:
        assert len(flood.run(np.array([0.0, 5.0]), passes("gg"), 0.05)) == 1


def test_a_load_without_connections_fails(port: int) -> None:
    """The only one was closed by the server."""
    with closing(Flood(port, 1, "r")) as flood, pytest.raises(LoadError, match="every connection was lost"):
        flood.run(np.zeros(2), passes("dg"), 10.0)
