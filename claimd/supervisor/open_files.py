"""The limit of open files (RLIMIT_NOFILE), which bounds the connections of a process: 1,024 on most systems."""

import resource
from contextlib import suppress

from claimd.http.most_connections import RESERVED_FILES, most_connections
from claimd.supervisor.listeners import BACKLOG

# With fewer, a gateway could not accept all connections of a full accept queue.
_ENOUGH = BACKLOG + RESERVED_FILES


def raise_open_files() -> int:
    """Raise the soft limit to the hard one, for this process and its children. Returns the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft


def few_files_warning(open_files: int) -> str | None:
    """A line for the start if the limit of open files is low, else None."""
    if open_files >= _ENOUGH or open_files == resource.RLIM_INFINITY:
        return None
    most = most_connections(open_files)
    return (
        f"  WARNING   the limit of open files is {open_files:,}: each process takes {most:,} connections at a time and "
        f"rejects more (503), while a full accept queue alone has {BACKLOG:,}; "
        f"{_ENOUGH:,} or more is enough (ulimit -n, LimitNOFILE=, docker run --ulimit nofile=)"
    )
