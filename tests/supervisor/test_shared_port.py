"""Which sockets of a shared port get new connections: on the real kernel with real sockets."""

import socket
from contextlib import ExitStack, suppress

import pytest

from claimd.supervisor.listeners import listen
from claimd.supervisor.shared_port import SharedPort

CONNECTIONS = 60


def connections_of(listeners: list[socket.socket]) -> list[int]:
    """Open CONNECTIONS connections; how many of them each socket gets."""
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
    """Each worker in turn stops answering and answers again; where none or all answer, all get connections."""
    listeners = listen(host, 0, workers=workers)
    try:
        port = SharedPort(listeners)
        assert all(connections_of(listeners)), "none answers yet"
        for number in range(workers):
            port.set_answering(number, True)
        assert all(connections_of(listeners))
        for number in range(workers):
            port.set_answering(number, False)
            counts = connections_of(listeners)
            assert counts.pop(number) == 0
            assert all(counts)
            port.set_answering(number, True)
            assert all(connections_of(listeners))
        for number in range(workers - 1):
            port.set_answering(number, False)
        assert connections_of(listeners)[-1] == CONNECTIONS
        port.set_answering(workers - 1, False)
        assert all(connections_of(listeners))
    finally:
        for listener in listeners:
            listener.close()


def test_a_single_worker_keeps_its_port_and_closed_sockets_are_ignored() -> None:
    """With one socket there is nothing to choose; with closed ones nothing can be attached."""
    listeners = listen("127.0.0.1", 0)
    port = SharedPort(listeners)
    port.set_answering(0, True)
    port.set_answering(0, False)
    assert connections_of(listeners) == [CONNECTIONS]
    listeners += listen("127.0.0.1", 0)
    for listener in listeners:
        listener.close()
    port.set_answering(0, True)
