"""The progress of a long-running command, one line for each step."""

import sys
from contextlib import suppress

from claimd.cli.terminal.printable import printable
from claimd.cli.terminal.streams import OutputError


def print_progress(line: str) -> None:
    """Print a line at once, as a reader of a pipe waits for "ready". A reader that has left does not stop the command.

    Control characters are escaped: a line may quote a path, or the last line of a server's log.
    """
    with suppress(OSError, OutputError):
        print(printable(line), flush=True, file=sys.stdout)
