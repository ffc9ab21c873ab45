"""One client that listens to a round: what it was sent, and whether it can take more.

Nothing is ever queued for it: it takes an event only when it has taken everything before. So a slow client costs at
most one event of memory, misses what it was too slow for, and gets the newest event as soon as it has caught up.
"""

import asyncio
import socket
from typing import Final

from claimd.contract.limits import ANSWER_SECONDS, EVENT_SECONDS
from claimd.gateway.events.encoding import COMMENT, RETRIES, RoundEvent, StreamBytes
from claimd.http.problems import one_of

# Beyond so many bytes that were not sent yet, the kernel takes nothing more: by default it queues megabytes, and a
# client that comes back after minutes would read what is long outdated.
_UNSENT_BYTES: Final = 4096


class Listener:
    """A connection whose answer has begun with the head of a stream. It is the last answer of that connection."""

    __slots__ = ("_chunked", "_ended", "_not_before", "_tag", "_transport")

    def __init__(self, transport: asyncio.Transport, *, chunked: bool) -> None:
        """`chunked`: the answer has the transfer coding of that name."""
        self._transport = transport
        self._chunked = chunked
        self._tag = ""
        self._not_before = 0.0
        self._ended = asyncio.get_running_loop().create_future()
        # The sweep then hears each time that the client has taken all that was unread (`AiohttpConnection`).
        transport.set_write_buffer_limits(high=0)
        _bound_the_kernel(transport)

    async def wait_until_ended(self) -> None:
        """Return when the client has left, or when the stream is to end."""
        await self._ended

    def begin(self, event: RoundEvent, now: float) -> None:
        """Write the beginning of the stream: when to reconnect after its end, and the whole state of the round."""
        self._write(one_of(RETRIES))
        self._write(event)
        self._tag, self._not_before = event.tag, now + EVENT_SECONDS

    def offer(self, event: RoundEvent, now: float) -> bool:
        """Write the event unless the client has it. Return False where it could not be written now."""
        if event.tag == self._tag or self._transport.is_closing():
            return True
        if now < self._not_before or self._transport.get_write_buffer_size():
            return False
        self._write(event)
        self._tag = event.tag
        return True

    def comment(self) -> None:
        """Write a comment, unless something is on its way to the client anyway."""
        if not self._transport.is_closing() and not self._transport.get_write_buffer_size():
            self._write(COMMENT)

    def end(self) -> None:
        """End the stream; where the client has not taken all of it, abort the connection."""
        if not self._transport.is_closing() and self._transport.get_write_buffer_size():
            self._transport.abort()
        self.lost()

    def lost(self) -> None:
        """Note that the connection is lost, or is not needed any more."""
        if not self._ended.done():
            self._ended.set_result(None)

    def _write(self, part: StreamBytes) -> None:
        self._transport.write(part.chunk if self._chunked else part.plain)


def _bound_the_kernel(transport: asyncio.Transport) -> None:
    """Bound what the kernel queues for a client, and how long it waits for one that acknowledges nothing."""
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(ANSWER_SECONDS * 1000))
