"""The limit of open files, which is the limit of connections: most systems start a program with 1,024 of them."""

import resource
from contextlib import suppress


def raise_open_files() -> int:
    """Raise the soft limit to the hard one, for this process and its children; returns the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft
