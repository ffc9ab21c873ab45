"""How to run one child of a supervisor."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A child's command, its environment, and how the supervisor learns that it is ready and alive.

    `command` starts with a path. A child of claimd's own reports by heartbeats: bytes on the descriptor that
    `--ready-fd` names, an option which the supervisor adds to its command; the first byte reports that it is ready. Any
    other program has a `probe`, which returns when it is ready and never raises, and may have `heartbeats`, which calls
    its argument at each sign of life.

    `on_answering` gets True when the child becomes ready or answers again, False when it falls silent or ends.
    `explain` returns text for the end of the line that reports a failed start. `stop_seconds` is the time between
    SIGTERM and SIGKILL.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    pass_fds: tuple[int, ...] = ()
    probe: Callable[[], Awaitable[None]] | None = None
    heartbeats: Callable[[Callable[[], None]], Awaitable[None]] | None = None
    on_answering: Callable[[bool], None] = lambda _: None
    explain: Callable[[], str] = lambda: ""
    stop_seconds: float = 15.0
