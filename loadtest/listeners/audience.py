"""Clients that listen to the events of a round, and read all of them at once.

`python -m loadtest.listeners.audience PORT ROUND COUNT` runs until it is stopped, and prints four times a second how
many streams are open, how many events they had in all, and how many bytes. A process of its own, so that it does not
delay the process that measures.
"""

import selectors
import socket
import sys
import time
from typing import Final

_CONNECT_SECONDS: Final = 10.0
_CONNECTS_PER_SECOND: Final = 1_000.0
_REPORT_SECONDS: Final = 0.25
_READ_BYTES: Final = 65_536
_EVENT: Final = b"event: round\n"


class Audience:
    """Streams of one round; `events` and `received_bytes` count what all of them had."""

    def __init__(self, port: int, round_id: str) -> None:
        self._address = ("127.0.0.1", port)
        self._request = f"GET /v1/rounds/{round_id}/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
        self._selector = selectors.DefaultSelector()
        self.streams = self.events = self.received_bytes = 0

    def join(self) -> None:
        """Open one more stream. Raises OSError."""
        stream = socket.create_connection(self._address, _CONNECT_SECONDS)
        stream.sendall(self._request.encode())
        stream.setblocking(False)
        self._selector.register(stream, selectors.EVENT_READ, stream)
        self.streams += 1

    def read(self, seconds: float) -> None:
        """Read what has come, or comes within so many seconds. An event is one write, and so comes in one piece."""
        for key, _ in self._selector.select(seconds):
            stream: socket.socket = key.data
            data = stream.recv(_READ_BYTES)
            self.received_bytes += len(data)
            self.events += data.count(_EVENT)
            if not data:
                self._selector.unregister(stream)
                stream.close()
                self.streams -= 1


def main(port: int, round_id: str, count: int) -> None:
    """Listen for ever; the streams are opened at an even pace."""
    audience, began, joined, reported_at = Audience(port, round_id), time.monotonic(), 0, 0.0
    while True:
        now = time.monotonic()
        while joined < min(count, int((now - began) * _CONNECTS_PER_SECOND)):
            audience.join()
            joined += 1
        if now >= reported_at + _REPORT_SECONDS:
            reported_at = now
            print(audience.streams, audience.events, audience.received_bytes, flush=True)
        audience.read(0.005 if joined < count else _REPORT_SECONDS)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
