"""One keep-alive HTTP/1.1 connection of the crowd: a non-blocking socket, one request at a time, parsed just enough.

It neither waits nor polls: its owner calls `read` when the socket is readable. Nothing here may block.
"""

import _socket
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import gevent.event
import gevent.socket

_RECEIVE_BYTES: Final = 65536
_HEAD_END: Final = b"\r\n\r\n"


class LoadError(Exception):
    """A load could not be carried to its end; the message gives the reason."""


class Connection:
    """Calls `on_answer(connection, status, body, closing)` for each answer, `on_lost(connection)` when lost.

    `gone` is set when either side closes it. `row` is the number of the request under way, -1 without one; the owner
    sets it. `head` is the head of the newest answer, for `head_field`.
    """

    __slots__ = ("_on_answer", "_on_lost", "_partial", "_recv", "_send", "_socket", "fd", "gone", "head", "lost", "row")

    def __init__(
        self,
        address: tuple[str, int],
        on_answer: Callable[["Connection", bytes, bytes, bool], None],
        on_lost: Callable[["Connection"], None],
    ) -> None:
        """Connect, while other greenlets run. Raises OSError."""
        connecting = gevent.socket.create_connection(address, timeout=10)
        connecting.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
        # From here on a plain socket: gevent's own would wait, which its owner does for all connections.
        family, kind = connecting.family, connecting.type
        self._socket = _socket.socket(family, kind, 0, connecting.detach())
        self._socket.setblocking(False)
        self._send, self._recv = self._socket.send, self._socket.recv
        self._on_answer, self._on_lost = on_answer, on_lost
        self._partial = b""
        self.fd = self._socket.fileno()
        self.row = -1
        self.head = b""
        self.lost = False
        self.gone = gevent.event.Event()

    def send(self, request: bytes) -> bool:
        """Send a whole request. False, with the connection closed, where the kernel does not take it at once.

        One small request is in flight at a time, so a full send buffer means that the other side hangs.
        """
        try:
            if self._send(request) == len(request):
                return True
        except OSError:
            pass
        self.close()
        return False

    def close(self) -> None:
        """Close without a call of `on_lost`. Closing twice is harmless."""
        if not self.lost:
            self.lost = True
            self._socket.close()
            self.gone.set()

    def _lose(self) -> None:
        if not self.lost:
            self.close()
            self._on_lost(self)

    def read(self) -> None:
        """Receive once, and call `on_answer` when the answer is whole."""
        try:
            data = self._recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data or self.row < 0:
            # Closed; or an answer without a request, after which no answer can be assigned.
            self._lose()
            return
        if self._partial:
            data = self._partial + data
        head, whole, body = data.partition(_HEAD_END)
        if not whole:
            self._partial = data
            return
        status, length, closing = _understand(head)
        if len(body) == length:
            self._partial = b""
            self.head = head
            self._on_answer(self, status, body, closing)
        elif len(body) < length:
            self._partial = data
        else:
            self._lose()


# Most heads equal the one before: the date changes once a second.
@lru_cache(maxsize=1024)
def _understand(head: bytes) -> tuple[bytes, int, bool]:
    """Status, length of the body in bytes (-1 where it has none that is valid), and whether the server closes then."""
    fields = _fields(head)
    status = head[9:12]
    # A 304 never has a body; a length would be that of the 200 in its place.
    length = b"0" if status == b"304" else fields.get(b"content-length", b"")
    if not head.startswith(b"HTTP/1.1 ") or not length.isdigit():
        return b"", -1, True
    return status, int(length), fields.get(b"connection", b"").lower() == b"close"


@lru_cache(maxsize=1024)
def head_field(head: bytes, name: bytes) -> bytes | None:
    """The value of a field of an answer's head, None where it is absent; `name` is in lower case."""
    return _fields(head).get(name)


def _fields(head: bytes) -> dict[bytes, bytes]:
    lines = head.split(b"\r\n")
    return {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
