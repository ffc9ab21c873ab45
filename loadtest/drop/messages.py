"""The messages between conductor and generators, over Locust's channel between master and workers.

In a single process Locust's local runner delivers them directly.
"""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final, Self

PREPARE: Final = "drop_prepare"
READY: Final = "drop_ready"
OPENS: Final = "drop_opens"
PROGRESS: Final = "drop_progress"
ROWS: Final = "drop_rows"
DONE: Final = "drop_done"
FAILED: Final = "drop_failed"


@dataclass(frozen=True, slots=True)
class _Message:
    """Sent as a plain dict, for msgpack."""

    def dump(self) -> dict[str, Any]:
        """The message as a dict."""
        return asdict(self)

    @classmethod
    def load(cls, data: dict[str, Any]) -> Self:
        """The message of such a dict."""
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Prepare(_Message):
    """Conductor to each generator: the drop, and its share. `index` counts generators from 0 to `count` - 1."""

    index: int
    count: int
    round_id: str
    pool: int
    seconds: float
    seed: int
    app_users: int
    visits: str
    gathering_seconds: float
    """Of whole visits: from the first arrival to the opening."""
    watchers: int
    heads: str


@dataclass(frozen=True, slots=True)
class Opens(_Message):
    """Conductor to all generators: the round exists and opens at this time (since 1970, the server's clock)."""

    opens_at_ms: int


@dataclass(frozen=True, slots=True)
class Progress(_Message):
    """Generator to conductor, once a second. Counts are totals so far; latencies are of the last second.

    `offset` is in seconds after the opening.
    """

    index: int
    offset: float
    offered: int
    granted: int
    replayed: int
    sold_out: int
    refused: int
    errors: int
    passes: int
    readings: int
    waiting: int
    blind_spells: int
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Done(_Message):
    """Generator to conductor, after its rows: its own performance.

    `blind` holds (begin, end) pairs. `server_ms_at_zero` is the server's clock at offset 0 of its rows, give or take
    `clock_error_ms`.
    """

    index: int
    crowd_rows: int
    blind: list[list[float]]
    cpu_fraction: float
    busiest_cpu_fraction: float
    runqueue_fraction: float | None
    connections: int
    app_users: int
    app_retries: int
    server_ms_at_zero: float
    clock_error_ms: float
    errors: dict[str, int]
    visits: dict[str, Any] | None
    """Of whole visits: `retries`, `tokens` (how they were minted), `events` (how the round was watched)."""


class Table(StrEnum):
    """What the rows of a message of ROWS are."""

    REQUESTS = "requests"
    READINGS = "readings"
    PASSES = "passes"
