"""Listening sockets: several share one port, and a second claimd cannot join it."""

import socket

import pytest

from claimd.errors import StartError
from claimd.supervisor.listeners import listen, reachable, url_of


def _close(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def test_workers_share_a_free_port() -> None:
    """Port 0 yields one port for all, and every worker's socket gets some of the connections."""
    sockets = listen("127.0.0.1", 0, workers=3)
    try:
        ports = {sock.getsockname()[1] for sock in sockets}
        assert len(ports) == 1
        port = ports.pop()
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
        accepted = [0, 0, 0]
        for number, sock in enumerate(sockets):
            while True:
                try:
                    sock.accept()[0].close()
                except BlockingIOError:
                    break
                accepted[number] += 1
        assert sum(accepted) == 60
        assert min(accepted) > 0
        _close(clients)
    finally:
        _close(sockets)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_claimd_cannot_join(workers: int) -> None:
    """Although the sockets of the first one share their port, the kernel rejects those of another."""
    first = listen("127.0.0.1", 0, workers=2)
    try:
        port = first[0].getsockname()[1]
        with pytest.raises(StartError, match=f"port {port} is taken: choose another with --port or CLAIMD_PORT"):
            listen("127.0.0.1", port, workers=workers)
    finally:
        _close(first)


def test_ipv6_has_brackets() -> None:
    """A URL has brackets around an IPv6 address, and a listener on `::` is reached on this machine."""
    try:
        sockets = listen("::1", 0, workers=2)
    except StartError:
        pytest.skip("this machine has no IPv6")
    port = sockets[0].getsockname()[1]
    socket.create_connection(("::1", port)).close()
    _close(sockets)
    assert url_of(reachable("::"), port) == f"http://[::1]:{port}"


@pytest.mark.parametrize(
    ("host", "sentence"),
    [("no.such.host.invalid", "cannot be found"), ("192.0.2.1", "is not an address of this machine")],
)
def test_a_host_of_another_machine_is_named(host: str, sentence: str) -> None:
    """The error names the host and the reason."""
    with pytest.raises(StartError, match=f"{host}.*{sentence}"):
        listen(host, 0)
