"""Listening sockets. The supervisor owns them and lends one to each worker: when a worker dies, the connections in its
accept queue wait for its successor.

Several workers share a port with SO_REUSEPORT, which would also let two claimds share one by mistake, each with half of
the clients. The first socket therefore listens *without* the option, so that the kernel rejects a second claimd without
a race. Once the port is bound, the option is set (Linux allows that late), and the other workers' sockets join.
"""

import errno
import os
import socket
from contextlib import ExitStack
from typing import Any

from claimd.errors import StartError

# The kernel cuts it to net.core.somaxconn, which is 4096 since Linux 5.4.
BACKLOG = 4096


def listen(host: str, port: int, *, workers: int = 1, setting: str = "port") -> list[socket.socket]:
    """Return one listening, non-blocking socket for each worker, all on one port; port 0 takes a free one.

    Raises StartError where the host or the port cannot be used; its message names the flag `setting`.
    """
    family, address = _resolve(host, port)
    with ExitStack() as undo:
        first = undo.enter_context(_socket(family))
        try:
            first.bind(address)
            first.listen(BACKLOG)
        except OSError as error:
            raise StartError(_explain(error, host, port, setting)) from None
        sockets = [first]
        if workers > 1:
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        for _ in range(workers - 1):
            joining = undo.enter_context(_socket(family))
            joining.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            joining.bind(first.getsockname())
            joining.listen(BACKLOG)
            sockets.append(joining)
        undo.pop_all()
    return sockets


def url_of(host: str, port: int) -> str:
    """`http://host:port`, with the brackets that IPv6 needs."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def reachable(host: str) -> str:
    """The host to connect to for a listener on `host`: this machine where that means every interface."""
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - it is read, not bound


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise StartError(f"host {host!r} cannot be found: {getattr(error, 'strerror', error)}") from None
    family, _, _, _, address = found[0]
    return family, address


def _socket(family: socket.AddressFamily) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    # A port with connections in TIME_WAIT can be bound again. Listening sockets never share a port by this option.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.setblocking(False)
    return sock


def _explain(error: OSError, host: str, port: int, setting: str) -> str:
    choose = f"choose another with --{setting} or CLAIMD_{setting.replace('-', '_').upper()}"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken: {choose}"
    if error.errno == errno.EACCES:
        return f"port {port} is not for ordinary users: {choose}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"host {host} is not an address of this machine"
    return f"cannot listen on {url_of(host, port)}: {os.strerror(error.errno or 0)}"
