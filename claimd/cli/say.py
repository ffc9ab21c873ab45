"""Lines that tell what a long-running command is doing."""

import sys
from contextlib import suppress


def say(line: str) -> None:
    """Print at once: whoever reads us through a pipe waits for "ready". A reader who has left stops nothing."""
    with suppress(OSError):
        print(line, flush=True, file=sys.stdout)
