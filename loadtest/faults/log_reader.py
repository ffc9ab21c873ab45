"""A reader of claimd's log that can stop reading: claimd writes to a named pipe, and the pipe fills up."""

import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self


class LogReader:
    """Copies a named pipe to a file in a thread, and stops reading on request. Use `running`."""

    def __init__(self, pipe: Path, log: Path) -> None:
        self._pipe = pipe
        # For both directions, or opening would wait for a writer. The flag is for this opening alone.
        self._fd = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        self._log = log.open("wb", buffering=0)
        self._reading = threading.Event()
        self._reading.set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read_forever, name="log reader", daemon=True)

    @classmethod
    @contextmanager
    def running(cls, pipe: Path, log: Path) -> Iterator[Self]:
        """Create the pipe and read it until the context is left."""
        os.mkfifo(pipe)
        reader = cls(pipe, log)
        reader._thread.start()
        try:
            yield reader
        finally:
            reader._over.set()
            reader._reading.set()
            reader._thread.join()
            reader._log.close()
            os.close(reader._fd)

    def stop_reading(self) -> None:
        """Stop reading and fill the pipe, so that a plain write to it would block from now on."""
        self._reading.clear()
        with suppress(BlockingIOError):
            while not self._reading.is_set():
                os.write(self._fd, b"\n")

    def resume_reading(self) -> None:
        """Read again, from where it stopped."""
        self._reading.set()

    def _read_forever(self) -> None:
        while not self._over.is_set():
            self._reading.wait()
            if select.select([self._fd], [], [], 0.05)[0] and self._reading.is_set():
                with suppress(BlockingIOError):
                    self._log.write(os.read(self._fd, 65536))
