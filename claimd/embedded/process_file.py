"""`processes.json` in the data directory: which processes run, and the addresses of the two ports and of Valkey.

For operators, scripts and the command line; claimd itself decides nothing by it. It exists while claimd runs, and is
left behind only by a supervisor that was killed.
"""

import json
from pathlib import Path
from typing import Any

from claimd.embedded.data_dir import home_of, write_atomically

_NAME = "processes.json"


class ProcessFile:
    """The entries of the file, by process name; each change writes the whole file anew."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / _NAME
        self._entries: dict[str, dict[str, Any]] = {}

    def put(self, name: str, **fields: Any) -> None:
        """Set fields of one entry, such as `pid`, `host`, `port`, `url`. Raises OSError."""
        self._entries.setdefault(name, {}).update(fields)
        write_atomically(self._path, json.dumps(self._entries, indent=2) + "\n")

    def remove(self) -> None:
        """Remove the file: every process has ended."""
        self._path.unlink(missing_ok=True)


def read_process_file(data_dir: Path) -> dict[str, dict[str, Any]]:
    """The entries by process name; empty where there is no file, or one that cannot be read."""
    try:
        entries = json.loads((home_of(data_dir) / _NAME).read_text())
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in entries.items() if isinstance(v, dict)} if isinstance(entries, dict) else {}
