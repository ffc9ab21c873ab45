"""What the harness's commands share: the terminal, the limit of open files, interruption, and report folders."""

import resource
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from rich.console import Console as Terminal

OUT: Final = Path(__file__).resolve().parent / "out"
INTERRUPTED: Final = 130
_LOG_WIDTH: Final = 120
# Beside the connections: standard streams, event loop, log, sockets of the store, a listener or two.
_SPARE_FILES: Final = 256


def begin() -> Terminal:
    """The terminal to print to. From here on SIGTERM interrupts as Ctrl-C does, so that child processes are stopped."""
    signal.signal(signal.SIGTERM, _interrupt)
    return Terminal(highlight=False, width=None if sys.stdout.isatty() else _LOG_WIDTH)


def allow_connections(count: int) -> None:
    """Let this process and its children hold `count` connections each. Raises SizeError."""
    allow_files(count + _SPARE_FILES)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt


class SizeError(ValueError):
    """A size that cannot be run; the message names one that can."""


def allow_files(needed: int) -> None:
    """Let this process and its children open `needed` files each. Raises SizeError where the hard limit forbids it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise SizeError(
                f"{needed:,} open files are needed and the hard limit is {hard:,}: raise it (`ulimit -Hn`), "
                "or take fewer --connections"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def new_folder(now: datetime | None = None) -> Path:
    """A fresh folder for a report, named by the time (UTC)."""
    name = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    for attempt in range(100):
        folder = OUT / (name if not attempt else f"{name}-{attempt}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"no free folder for a report at {OUT / name}")
