"""Child processes of the harness, in groups of their own: ended with SIGTERM, and after 30 s with SIGKILL."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

Child = subprocess.Popen[bytes]

_STOP_SECONDS: Final = 30


class TargetError(Exception):
    """A program that the harness runs did not become ready; the message gives the reason and the end of its log."""


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], log: Path, cwd: Path, pass_fds: Sequence[int] = ()
) -> Iterator[Child]:
    """Run a command, its output to `log`. On leaving: SIGTERM, time to stop cleanly, then SIGKILL to its group."""
    with log.open("wb") as output:
        # A group of its own: Ctrl-C reaches this process alone, which then stops the children in order.
        child = subprocess.Popen(
            command,
            env=environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=pass_fds,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        stop(child)


def stop(child: Child) -> None:
    """End a child and its group; SIGINT and SIGTERM are ignored meanwhile."""
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        if child.poll() is None:
            child.terminate()
            with suppress(subprocess.TimeoutExpired):
                child.wait(_STOP_SECONDS)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def tail(log: Path, lines: int = 25) -> str:
    """The last `lines` lines of a log, below its name."""
    try:
        written = log.read_text(errors="replace").splitlines()
    except OSError:
        written = []
    return "\n".join([f"--- {log.name}", *written[-lines:]])
