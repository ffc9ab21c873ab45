"""What is kept on the server of the counts of gateways, as values; `counts.py` reads and writes them.

A *run* is one life of a gateway process, or a day of a longer one. Its name is never used again.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

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


class CountsStore(Protocol):
    """Where counts are kept between gateways and the console. Every method raises StoreUnavailable."""

    async def save(self, run: str, seen_ms: int | None, waiting: int, changes: Mapping[str, int]) -> Saved:
        """Save up to MAX_CHANGES counters of a run. `seen_ms` is that of its last save; None: whatever that was."""
        ...

    async def merge(self, run: str, silent_ms: int) -> MergeOutcome:
        """Add a run to the past unless it has saved within `silent_ms`."""
        ...

    async def forget_merged(self) -> None:
        """Forget the names of runs that were merged, MERGED_KEPT_MS after their last save."""
        ...

    async def load(self) -> SavedCounts:
        """Everything, as of one moment."""
        ...

    async def old(self) -> Mapping[str, bytes]:
        """What gateways of version 0.1 saved, as JSON by gateway."""
        ...

    async def forget_old(self, gateways: Sequence[str]) -> None:
        """Remove what these gateways of version 0.1 saved."""
        ...

    async def rounds_over(self, round_ids: Sequence[str], for_ms: int) -> set[str]:
        """Those of these rounds that have been over for so long, or that do not exist."""
        ...

    async def settle(self, moves: Mapping[str, str]) -> None:
        """Within the past, move counters into sums: counter -> sum."""
        ...
