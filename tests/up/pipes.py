"""Pipes that nobody reads."""

import os
import select
import time


def full_pipe() -> tuple[int, int]:
    """A pipe into which not one byte more can be written: its two ends, both blocking."""
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
    """All that comes out of a pipe up to, and with, what holds `until`; fails after `seconds`."""
    came, deadline = b"", time.monotonic() + seconds
    while until not in came:
        readable, _, _ = select.select([read], [], [], max(0.0, deadline - time.monotonic()))
        assert readable, f"{until!r} did not come: {came[-300:]!r}"
        came += os.read(read, 65536)
    return came
