"""Pipes without a reader."""

import os
import select
import time


def full_pipe() -> tuple[int, int]:
    """Make a pipe that is full; returns its two ends, both blocking."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        for size in (65536, 1):
            while True:
                try:
                    os.write(write, b"-" * size)
                except BlockingIOError:
                    break
    finally:
        os.set_blocking(write, True)
    return read, write


def drained(read: int, until: bytes, seconds: float = 20.0) -> bytes:
    """Read a pipe until what was read contains `until`, and return it; fail after `seconds`."""
    data, deadline = b"", time.monotonic() + seconds
    while until not in data:
        readable, _, _ = select.select([read], [], [], max(0.0, deadline - time.monotonic()))
        assert readable, f"{until!r} was not written: {data[-300:]!r}"
        data += os.read(read, 65536)
    return data
