"""Lines that tell what a long-running command is doing."""

import sys
from contextlib import suppress

from claimd.cli.terminal.printable import legible
from claimd.cli.terminal.streams import OutputError


def say(line: str) -> None:
    """Print at once: whoever reads us through a pipe waits for "ready". A reader who has left stops nothing.

    Some lines carry another's words: a path, or the last that a server had to say.
    """
    with suppress(OSError, OutputError):
        print(legible(line), flush=True, file=sys.stdout)
