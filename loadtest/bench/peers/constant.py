"""Floor: the least that a Python gateway does. asyncio.Protocol and httptools on uvloop, answering a constant.

python -m loadtest.bench.peers.constant PORT
"""

import asyncio
import sys
from email.utils import formatdate
from typing import cast

import httptools
import uvloop

from loadtest.bench.peers import answers


def _constant() -> bytes:
    """Return the answer to a granted claim, as long as claimd's."""
    status, content_type, body = answers.answer(answers.CONSTANT_ROUND, b"granted", b"12345:1587384000000")
    head = f"HTTP/1.1 {status} Created\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + f"Date: {formatdate(usegmt=True)}\r\n\r\n".encode() + body


class Constant(asyncio.Protocol):
    """Parses each request to its end and sends the constant."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the `write` of the transport, which every answer needs."""
        self._write = cast(asyncio.Transport, transport).write

    def data_received(self, data: bytes) -> None:
        """Parse the bytes of one request or several, and answer each."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Answer a complete request; the parser calls this."""
        self._write(self._answer)


async def serve(port: int) -> None:
    """Serve on the port of the command line until killed."""
    answer = _constant()
    server = await asyncio.get_running_loop().create_server(lambda: Constant(answer), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
