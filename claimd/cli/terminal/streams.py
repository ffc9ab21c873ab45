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
    """Standard output cannot be written; the message has the reason. The process ends with `exit_code`."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the output cannot be written: {os.strerror(error.errno or 0)}")
        self.reader_left = error.errno == errno.EPIPE
        self.exit_code = _EXIT_READER_LEFT if self.reader_left else 1


class _Writer(io.BufferedWriter):
    """Waits where another program has made the terminal non-blocking. Subclasses handle errors in `_failed`.

    The raw stream stays the library's: Ctrl-C within a raw `write` in Python would let the same bytes be written twice.
    """

    def write(self, data: Any) -> int:
        """Take all of `data`; its number of bytes."""
        rest = memoryview(data).cast("B")
        while True:
            try:
                return super().write(rest) and len(data)
            except BlockingIOError as error:
                rest = rest[error.characters_written :]
                self._wait()
            except OSError as error:
                self._failed(error)
                return len(data)

    def flush(self) -> None:
        """Write all that was taken."""
        while True:
            try:
                return super().flush()
            except BlockingIOError:
                self._wait()
            except OSError as error:
                return self._failed(error)

    def _wait(self) -> None:
        select.select([], [self.fileno()], [])

    def _failed(self, error: OSError) -> None:
        raise NotImplementedError


class _Output(_Writer):
    """Standard output: an error becomes an OutputError. `has_failed` from the first one on."""

    has_failed = False

    def _failed(self, error: OSError) -> None:
        self.has_failed = True
        raise OutputError(error) from None


class _Messages(_Writer):
    """Standard error: a message that cannot be written is lost, and the exit code stays what it is."""

    def _failed(self, error: OSError) -> None:
        pass


@contextmanager
def standard_streams() -> Iterator[None]:
    """Prepare the streams, and write what is left of the output at the end. Raises OutputError."""
    for fd, flags in ((_STDIN, os.O_RDONLY), (_STDOUT, os.O_RDONLY), (_STDERR, os.O_WRONLY)):
        _take_if_closed(fd, flags)
    if sys.stdin is None:
        sys.stdin = open(_STDIN, closefd=False)  # noqa: SIM115 - a descriptor, for the life of the process
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Output(_raw(_STDOUT)), sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Messages(_raw(_STDERR)), sys.stderr)
    try:
        yield
    finally:
        # A command that has gone on after a failure, as roles do, has succeeded without its output.
        # The output of a role has no buffer: it is written by a thread (`outlet.py`).
        if getattr(getattr(sys.stdout, "buffer", None), "has_failed", False):
            discard_output()
        sys.stdout.flush()


def discard_output() -> None:
    """Let what was not written go, or the interpreter tries it once more when it ends: it complains, or blocks."""
    if not isinstance(getattr(sys.stdout, "buffer", None), _Output):
        return
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, _STDOUT)
    os.close(sink)


def is_utf8(stream: TextIO) -> bool:
    """Whether every text can be written to it as it is."""
    return (stream.encoding or "utf-8").lower().replace("_", "-") in ("utf-8", "utf8")


def _take_if_closed(fd: int, flags: int) -> None:
    """Put /dev/null in the place of a closed stream, or the next socket gets its number and what is written there.

    One that is opened for reading refuses what is written (EBADF), as a closed stream does.
    """
    try:
        os.fstat(fd)
    except OSError:
        # The lowest free number is this one: those below it are open by now.
        os.open(os.devnull, flags)
        os.set_inheritable(fd, True)


def _raw(fd: int) -> io.FileIO:
    return io.FileIO(fd, "w", closefd=False)


def _text(writer: _Writer, model: TextIO | None) -> io.TextIOWrapper:
    """A text stream with the encoding and the buffering of `model`, which takes any text."""
    return io.TextIOWrapper(
        writer,
        encoding=model.encoding if model else "utf-8",
        errors="backslashreplace",
        line_buffering=getattr(model, "line_buffering", True),
        write_through=getattr(model, "write_through", False),
    )
