"""Who gets new connections on a shared port: the real kernel, real sockets."""

import socket
from contextlib import ExitStack, suppress

import pytest

from claimd.supervisor.listeners import listen
from claimd.supervisor.shared_port import SharedPort

CONNECTIONS = 60


def dealt(listeners: list[socket.socket]) -> list[int]:
    """How many of some new connections each socket gets."""
    counts = [0] * len(listeners)
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(socket.create_connection(listeners[0].getsockname()[:2], timeout=10))
        for number, listener in enumerate(listeners):
            with suppress(BlockingIOError):
                while True:
                    listener.accept()[0].close()
                    counts[number] += 1
    assert sum(counts) == CONNECTIONS
    return counts


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("workers", [2, 3])
def test_new_connections_go_to_those_that_answer(host: str, workers: int) -> None:
    """One is taken out and put back, each in its turn; none, or all, is all."""
    listeners = listen(host, 0, workers=workers)
    try:
        port = SharedPort(listeners)
        assert all(dealt(listeners)), "none answers yet"
        for number in range(workers):
            port.set_answering(number, True)
        assert all(dealt(listeners))
        for number in range(workers):
            port.set_answering(number, False)
            counts = dealt(listeners)
            assert counts.pop(number) == 0
            assert all(counts)
            port.set_answering(number, True)
            assert all(dealt(listeners))
        for number in range(workers - 1):
            port.set_answering(number, False)
        assert dealt(listeners)[-1] == CONNECTIONS
        port.set_answering(workers - 1, False)
        assert all(dealt(listeners))
    finally:
        for listener in listeners:
            listener.close()


def test_one_worker_has_its_port_to_itself_and_a_closed_port_harms_nothing() -> None:
    """There is nothing to choose."""
    listeners = listen("127.0.0.1", 0)
    port = SharedPort(listeners)
    port.set_answering(0, True)
    port.set_answering(0, False)
    assert dealt(listeners) == [CONNECTIONS]
    listeners += listen("127.0.0.1", 0)
    for listener in listeners:
        listener.close()
    port.set_answering(0, True)
