"""What the harness's own commands share: where they print, how many files they need, and how they are interrupted."""

import signal
import sys
from types import FrameType
from typing import Final, NoReturn

from rich.console import Console

from loadtest import sizes

INTERRUPTED: Final = 130
_LOG_WIDTH: Final = 120
# Beside the connections: standard streams, event loop, log, sockets of the store, a listener or two.
_SPARE_FILES: Final = 256


def begin() -> Console:
    """Where to print; from here on SIGTERM interrupts as Ctrl-C does, so that what was started is stopped."""
    signal.signal(signal.SIGTERM, _interrupt)
    return Console(highlight=False, width=None if sys.stdout.isatty() else _LOG_WIDTH)


def allow_connections(count: int) -> None:
    """Let this process and its children hold `count` connections each. Raises sizes.SizeError."""
    sizes.allow_files(count + _SPARE_FILES)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt
