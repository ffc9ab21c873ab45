"""Listening sockets. The supervisor owns them and lends one to each worker, so a worker that dies loses nobody in line.

Several workers share a port with SO_REUSEPORT, which also lets two claimds share one by mistake, each getting half of
the public. So the first socket listens *without* it: the kernel then refuses the second claimd, without a race. Only
when the port is ours is the option set (Linux allows it that late), and the other workers' sockets join.
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
    """One listening socket a worker, all on one port; port 0 takes a free one.

    `setting` is the flag that chooses the port, for the sentence of the StartError when it is taken.
    """
    family, address = _resolve(host, port)
    with ExitStack() as undo:
        first = undo.enter_context(_socket(family))
        try:
            first.bind(address)
            first.listen(BACKLOG)
        except OSError as error:
            raise StartError(_sentence(error, host, port, setting)) from None
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
    """A host to connect to: one that stands for every interface becomes this machine."""
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
    # Not to share the port (a listening socket is never shared by this), but to start while old connections linger.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.setblocking(False)
    return sock


def _sentence(error: OSError, host: str, port: int, setting: str) -> str:
    choose = f"choose another with --{setting} or CLAIMD_{setting.replace('-', '_').upper()}"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken: {choose}"
    if error.errno == errno.EACCES:
        return f"port {port} is not for ordinary users: {choose}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"host {host} is not an address of this machine"
    return f"cannot listen on {url_of(host, port)}: {os.strerror(error.errno or 0)}"
