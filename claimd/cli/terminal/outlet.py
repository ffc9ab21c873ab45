"""Standard output and error of a role that must never wait for the reader of its log.

A pipe holds 64 KiB and a terminal stops with Ctrl-S; a plain write then blocks until the reader goes on. So a daemon
thread writes, from a bounded queue; lines that find it full are dropped, and their number is written once there is room
again. O_NONBLOCK would not do: it belongs to the open pipe, which other processes share.
"""

import atexit
import io
import os
import select
import sys
import threading
from collections import deque
from contextlib import suppress

# More than a busy second of any role, and small beside what a role takes.
_MAX_WAITING_BYTES = 256 * 1024
# At the end: enough for a reader that reads; a reader that does not must not hold up the end.
_LAST_WORDS_SECONDS = 0.5
# Text without an end of line is written nevertheless when it gets this long.
_MAX_PART_CHARACTERS = 65_536


class Outlet:
    """Writes to file descriptors from one thread of its own, in the order of `put`."""

    def __init__(self, max_bytes: int = _MAX_WAITING_BYTES) -> None:
        self._max_bytes = max_bytes
        # Descriptor, bytes, and how many lines are missing if these are not written.
        self._waiting: deque[tuple[int, bytes, int]] = deque()
        self._waiting_bytes = 0
        self._writing = False
        self._missing: dict[int, int] = {}
        self._broken: set[int] = set()
        # Reentrant: a destructor may log in the middle of `put`.
        self._changed = threading.Condition(threading.RLock())
        threading.Thread(target=self._write_on, name="output", daemon=True).start()

    def put(self, fd: int, lines: bytes) -> None:
        """Have whole lines written soon. Never blocks."""
        count = lines.count(b"\n")
        with self._changed:
            self._note_missing(fd)
            if fd in self._missing or (self._waiting and self._waiting_bytes + len(lines) > self._max_bytes):
                self._missing[fd] = self._missing.get(fd, 0) + count
            else:
                self._append(fd, lines, count)

    def flush(self, seconds: float) -> bool:
        """Wait for at most so long until all is written; returns whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._waiting or self._writing), seconds)

    def _append(self, fd: int, lines: bytes, count: int) -> None:
        self._waiting.append((fd, lines, count))
        self._waiting_bytes += len(lines)
        self._changed.notify_all()

    def _note_missing(self, fd: int) -> None:
        """Put a note with the number of missing lines at their place: after earlier lines, before the next one."""
        # Not before half of the room is free: else one line in many gets through, each with a note of its own.
        if fd in self._missing and self._waiting_bytes <= self._max_bytes // 2:
            count = self._missing.pop(fd)
            self._append(fd, f"claimd: {count} lines are missing here, as this log was not read\n".encode(), count)

    def _write_on(self) -> None:
        while True:
            fd, lines, count = self._next()
            written = _write(fd, lines)
            with self._changed:
                if written:
                    self._broken.discard(fd)
                else:
                    self._broken.add(fd)
                    self._missing[fd] = self._missing.get(fd, 0) + count

    def _next(self) -> tuple[int, bytes, int]:
        with self._changed:
            self._writing = False
            for fd in list(self._missing):
                # Where writing fails at once, as on a full disk, the note waits for the next line, or it would spin.
                if fd not in self._broken:
                    self._note_missing(fd)
            if not self._waiting:
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting)
            taken = self._waiting.popleft()
            self._waiting_bytes -= len(taken[1])
            self._writing = True
            return taken


class Lines(io.TextIOBase):
    """A text stream, such as `sys.stderr`, whose lines go to an outlet."""

    def __init__(self, outlet: Outlet, fd: int, encoding: str) -> None:
        super().__init__()
        self._outlet = outlet
        self._fd = fd
        self._encoding = encoding
        self._part = ""
        self._lock = threading.RLock()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream that this one replaces."""
        return self._encoding

    def writable(self) -> bool:
        """True: a text layer is only ever put over a stream to write to."""
        return True

    def fileno(self) -> int:
        """The descriptor. Writing to it directly may block."""
        return self._fd

    def isatty(self) -> bool:
        """Whether the descriptor is a terminal."""
        return os.isatty(self._fd)

    def write(self, text: str) -> int:
        """Put whole lines; keep the rest until its end comes."""
        with self._lock:
            lines, newline, self._part = (self._part + text).rpartition("\n")
            if newline:
                self._put(lines)
            if len(self._part) > _MAX_PART_CHARACTERS:
                self.flush()
        return len(text)

    def flush(self) -> None:
        """Put what has no end of line yet as a line. Does not wait for anything to be written."""
        with self._lock:
            part, self._part = self._part, ""
            if part:
                self._put(part)

    def _put(self, lines: str) -> None:
        self._outlet.put(self._fd, f"{lines}\n".encode(self._encoding, "backslashreplace"))


def write_without_waiting() -> None:
    """Replace `sys.stdout` and `sys.stderr` for the rest of this process, so that nothing written there ever blocks.

    That covers print, logging, warnings and tracebacks. What is left at the end is written if it takes half a second.
    """
    streams = {name: fd for name in ("stdout", "stderr") if (fd := _descriptor(name)) is not None}
    outlets: dict[int, Outlet] = {}
    for name, fd in streams.items():
        # Both often lead to one pipe: then one thread keeps their lines in order.
        same = next((outlet for other, outlet in outlets.items() if os.path.sameopenfile(other, fd)), None)
        outlets[fd] = outlet = same or Outlet()
        setattr(sys, name, Lines(outlet, fd, getattr(sys, name).encoding or "utf-8"))
        atexit.register(outlet.flush, _LAST_WORDS_SECONDS)


def _descriptor(name: str) -> int | None:
    """None for a stream that is no file."""
    with suppress(AttributeError, OSError, ValueError):
        return int(getattr(sys, name).fileno())
    return None


def _write(fd: int, lines: bytes) -> bool:
    """Write all of it, however long that takes; False where it cannot be written."""
    left = memoryview(lines)
    while left:
        try:
            left = left[os.write(fd, left) :]
        except BlockingIOError:
            # Another process has made the shared pipe non-blocking.
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.poll()
        except OSError:
            return False
    return True
