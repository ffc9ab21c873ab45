"""The counts of gateways as the server keeps them, as values; see `ports.CountsStore`.

A *run* is one life of a gateway process, or a day of a longer one. Its name is never used again.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

MAX_CHANGES = 500
# For so long a run that was suspended may learn that it was merged meanwhile, and go on without being counted twice.
MERGED_KEPT_MS = 24 * 3600 * 1000


class SaveOutcome(StrEnum):
    """What became of a save. Only SAVED has written anything."""

    SAVED = "saved"
    BEHIND = "behind"
    MERGED = "merged"


class Saved(NamedTuple):
    """`seen_ms` names the save that the server holds of the run now: 0 where it holds none. Server's clock."""

    outcome: SaveOutcome
    seen_ms: int
    now_ms: int


class MergeOutcome(StrEnum):
    """What became of a run that was to be merged."""

    ALIVE = "alive"
    MERGED = "merged"
    UNKNOWN = "unknown"


class RunCounts(NamedTuple):
    """A run that was not merged: its last save at `seen_ms`, and its counters, or None where they cannot be read."""

    name: str
    seen_ms: int
    waiting: int
    counters: Mapping[bytes, bytes] | None


class SavedCounts(NamedTuple):
    """All that is saved, as of one moment: no counter is in two of `runs`, `past` and `old`.

    `old` is what gateways of version 0.1 saved, as JSON by gateway.
    """

    now_ms: int
    runs: Sequence[RunCounts]
    past: Mapping[bytes, bytes]
    old: Mapping[str, bytes]
