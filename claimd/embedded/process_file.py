"""`processes.json` in the data directory: which processes run, and where the two ports ended up.

For people, scripts and the command line; claimd itself decides nothing by it. It is there while claimd runs, and stays
behind only when the supervisor was killed.
"""

import json
from pathlib import Path
from typing import Any

from claimd.embedded.data_dir import home_of, write_atomically

_NAME = "processes.json"


class Record:
    """Keeps the file in step: each change writes it anew, whole."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / _NAME
        self._entries: dict[str, dict[str, Any]] = {}

    def put(self, name: str, **fields: Any) -> None:
        """Set fields of one entry, such as `pid`, `host`, `port`, `url`."""
        self._entries.setdefault(name, {}).update(fields)
        write_atomically(self._path, json.dumps(self._entries, indent=2) + "\n")

    def remove(self) -> None:
        """Everything has stopped."""
        self._path.unlink(missing_ok=True)


def read_record(data_dir: Path) -> dict[str, dict[str, Any]]:
    """What the file says, empty where there is none."""
    try:
        entries = json.loads((home_of(data_dir) / _NAME).read_text())
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in entries.items() if isinstance(v, dict)} if isinstance(entries, dict) else {}
