"""The bytes of a stream of events (HTML Living Standard, section 9.2), encoded once for all listeners of a round."""

from typing import Final

from claimd.contract.limits import EVENT_RETRY_MS

_RETRIES: Final = 32


class StreamBytes:
    """A part of a stream: `plain`, and `chunk` with the framing of a chunked answer (RFC 9112, section 7.1)."""

    __slots__ = ("chunk", "plain")

    def __init__(self, plain: bytes) -> None:
        self.plain = plain
        self.chunk = b"%x\r\n%b\r\n" % (len(plain), plain)


class RoundEvent(StreamBytes):
    """A `round` event. `tag` is the entity tag of the round that it shows, and the id of the event."""

    __slots__ = ("tag",)

    def __init__(self, tag: str, document: bytes) -> None:
        """`document` is JSON in one line."""
        super().__init__(b"event: round\nid: %b\ndata: %b\n\n" % (tag.encode(), document))
        self.tag = tag


COMMENT: Final = StreamBytes(b":\n\n")


def _retries() -> tuple[StreamBytes, ...]:
    least, most = EVENT_RETRY_MS
    step = (most - least) / (_RETRIES - 1)
    return tuple(StreamBytes(b"retry: %d\n\n" % (least + round(number * step))) for number in range(_RETRIES))


# After how many milliseconds a client reconnects: one of these at random, so that the clients of a gateway that was
# restarted do not come back at the same moment.
RETRIES: Final = _retries()
