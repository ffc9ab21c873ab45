"""How many connections a process takes at a time; apart from `admission.py`, as a supervisor asks, too."""

import resource
import sys
from typing import Final

# Up to 60 connections to the server, the rejected connections, and sockets, pipes and files of the process.
RESERVED_FILES: Final = 128


def most_connections(open_files: int) -> int:
    """How many connections a process accepts at a time, with `open_files` as its limit of open files."""
    if open_files == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(open_files - RESERVED_FILES, open_files // 2)
