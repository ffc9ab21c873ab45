"""The counts of gateways as the server keeps them, as values; see `ports.CountsStore`.

A *run* is one life of a gateway process, or a day of a longer one. Its name is never used again.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

MAX_CHANGES = 500
# A run that was suspended for less than this learns from its next save that it was merged, and is not counted twice.
MERGED_KEPT_MS = 24 * 3600 * 1000


class SaveOutcome(StrEnum):
    """SAVED, or nothing was written: BEHIND if the server has another last save of the run, MERGED if it has ended."""

    SAVED = "saved"
    BEHIND = "behind"
    MERGED = "merged"


class Saved(NamedTuple):
    """`seen_ms` is the time of the run's last save that the server has, 0 for none; `now_ms` is the server's clock."""

    outcome: SaveOutcome
    seen_ms: int
    now_ms: int


class MergeOutcome(StrEnum):
    """ALIVE: the run has saved too recently to be merged. MERGED: it is a part of the past. UNKNOWN: no such run."""

    ALIVE = "alive"
    MERGED = "merged"
    UNKNOWN = "unknown"


class RunCounts(NamedTuple):
    """A run that is not merged: its last save at `seen_ms`, and its counters; None where these cannot be read."""

    name: str
    seen_ms: int
    waiting: int
    counters: Mapping[bytes, bytes] | None


class SavedCounts(NamedTuple):
    """All saved counts, as of one moment: no count is in two of `runs`, `past` and `old`.

    `old` has the counts that gateways of builds before 0.1.0 saved, as JSON by gateway.
    """

    now_ms: int
    runs: Sequence[RunCounts]
    past: Mapping[bytes, bytes]
    old: Mapping[str, bytes]
