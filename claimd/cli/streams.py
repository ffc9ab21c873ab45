"""The standard streams of the command line: they take any text, and a failure to write has one exception.

Only a process of its own gets them; a test that has replaced `sys.stdout` keeps what it has put there.
"""

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

# What a shell reports of a program that SIGPIPE ended. Not 1: that is what an audit of a broken round ends with.
_EXIT_READER_LEFT = 141
_STDIN, _STDOUT, _STDERR = range(3)


class OutputError(Exception):
    """Standard output cannot be written. The message says why; `exit_code` is what the process ends with."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the output cannot be written: {os.strerror(error.errno or 0)}")
        self.reader_left = error.errno == errno.EPIPE
        self.exit_code = _EXIT_READER_LEFT if self.reader_left else 1


class _Output(io.FileIO):
    """Standard output: raises OutputError for whatever the system says to a write."""

    def __init__(self, fd: int, *, was_closed: bool) -> None:
        super().__init__(fd, "w", closefd=False)
        self._was_closed = was_closed

    def write(self, data: Any) -> int:
        """Write a part of `data`; the number of bytes written."""
        try:
            if self._was_closed:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            return _write(super().write, data, self.fileno())
        except OSError as error:
            raise OutputError(error) from None


class _Messages(io.FileIO):
    """Standard error: a message that cannot be written is lost, and the exit code stays what it is."""

    def write(self, data: Any) -> int:
        """Write a part of `data`; the number of bytes written or lost."""
        try:
            return _write(super().write, data, self.fileno())
        except OSError:
            return len(data)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Prepare the streams, and write what is left of the output at the end. Raises OutputError."""
    closed = {fd for fd in (_STDIN, _STDOUT, _STDERR) if _take_if_closed(fd)}
    if sys.stdin is None:
        sys.stdin = open(_STDIN, closefd=False)  # noqa: SIM115 - a descriptor, for the life of the process
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Output(_STDOUT, was_closed=_STDOUT in closed), sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Messages(_STDERR, "w", closefd=False), sys.stderr)
    try:
        yield
    finally:
        sys.stdout.flush()


def discard_output() -> None:
    """Let what could not be written go, or the interpreter tries it once more when it ends, and complains."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, _STDOUT)
    os.close(sink)
    sys.stdout = _text(io.FileIO(_STDOUT, "w", closefd=False), None)


def is_utf8(stream: TextIO) -> bool:
    """Whether every text can be written to it as it is."""
    return (stream.encoding or "utf-8").lower().replace("_", "-") in ("utf-8", "utf8")


def _take_if_closed(fd: int) -> bool:
    """Put /dev/null in the place of a closed stream, or the next socket gets its number and what is meant for it."""
    try:
        os.fstat(fd)
    except OSError:
        # The lowest free number is this one: those below it are open by now.
        os.open(os.devnull, os.O_RDWR)
        os.set_inheritable(fd, True)
        return True
    return False


def _text(raw: io.FileIO, model: TextIO | None) -> io.TextIOWrapper:
    """A text stream with the encoding and the buffering of `model`, which never fails to encode."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=model.encoding if model else "utf-8",
        errors="backslashreplace",
        line_buffering=model is None or getattr(model, "line_buffering", False),
        write_through=getattr(model, "write_through", False),
    )


def _write(write: Any, data: Any, fd: int) -> int:
    # None: the other programs of this terminal have made it non-blocking, and it is full.
    while (written := write(data)) is None:
        select.select([], [fd], [])
    return int(written)
