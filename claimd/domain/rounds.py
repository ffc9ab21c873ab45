"""A round: one timed drop. Its definition, its state, and the status that follows from both."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

from claimd.domain.outcomes import ORDER_OF_DECISION, Outcome

MAX_TOTAL = 2**31
MAX_TITLE_CHARACTERS = 200
MAX_PACK_BYTES = 4096
MAX_ELIGIBILITY_CLAIMS = 32
MAX_ELIGIBILITY_VALUES = 1000
MAX_ELIGIBILITY_CHARACTERS = 512

# The eligibility epoch of a new round; and one that no round has: under it a claim is replayed or refused, not granted.
FIRST_EPOCH = 0
NO_EPOCH = -1

# Where the clock was set back by at most this since the newest grant, the window is compared with the time of that
# grant. The usual causes are corrections of seconds and an hour of daylight saving. The same figure stands in
# `lua/includes/window.lua`.
MAX_STEP_BACK_MS = 3_600_000

_MAX_ID_CHARACTERS = 64
_ROUND_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)

Pack = dict[str, Any]
Scalar = str | int | float | bool
Eligibility = dict[str, list[Scalar]]


def is_round_id(text: str) -> bool:
    """Whether `text` has the form of an id: `[a-z0-9][a-z0-9-]{0,63}`."""
    # The text comes from the URL of a client and has up to 8 KiB: only short ones may fill the cache.
    return len(text) <= _MAX_ID_CHARACTERS and _has_the_form(text)


@lru_cache(maxsize=1024)
def _has_the_form(text: str) -> bool:
    return _ROUND_ID.fullmatch(text) is not None


class Status(StrEnum):
    """The status of a round. It is derived from clock, window, flags and counters, and never stored."""

    SCHEDULED = "scheduled"
    OPEN = "open"
    PAUSED = "paused"
    SOLD_OUT = "sold_out"
    CLOSED = "closed"


# The status that goes with the reason for which a claim is refused, or with none.
_STATUS_OF = {
    Outcome.CLOSED: Status.CLOSED,
    Outcome.NOT_OPEN: Status.SCHEDULED,
    Outcome.PAUSED: Status.PAUSED,
    Outcome.SOLD_OUT: Status.SOLD_OUT,
    None: Status.OPEN,
}

ANY_STATUS = frozenset(Status)
NOT_OVER = ANY_STATUS - {Status.CLOSED}


@dataclass(frozen=True, slots=True)
class Definition:
    """The part of a round that the operator sets. The window is `opens_at_ms <= now < closes_at_ms`.

    `eligibility` maps names of claims of the bearer token to the values each may have; empty admits everyone. Times
    are milliseconds since 1970.
    """

    id: str
    title: str
    total: int
    opens_at_ms: int
    closes_at_ms: int
    pack: Pack = field(default_factory=dict)
    eligibility: Eligibility = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Round:
    """A definition and its state. `version` grows by one with every edit.

    `issued` is how many serials were given out, `voided` how many of their claims an operator has taken back.
    `last_grant_ms` is the time of the newest grant, 0 before the first. `epoch` grows when eligibility is edited or
    passes are revoked: a pass of another epoch is outdated. `window_lifted_ms` is the newest grant at the last edit of
    the window: grants up to it do not count for the window.
    """

    definition: Definition
    issued: int = 0
    paused: bool = False
    closed: bool = False
    version: int = 1
    last_grant_ms: int = 0
    epoch: int = FIRST_EPOCH
    window_lifted_ms: int = 0
    voided: int = 0

    @property
    def id(self) -> str:
        """The id of the definition."""
        return self.definition.id

    @property
    def held(self) -> int:
        """The claims that people hold: issued - voided."""
        return self.issued - self.voided

    @property
    def remaining(self) -> int:
        """The packs that are left: total - held."""
        return self.definition.total - self.held

    def window_time_ms(self, now_ms: int) -> int:
        """The time that the window is compared with, in milliseconds since 1970; `now_ms` is the server's clock.

        It is that of the newest grant where the clock went back by at most MAX_STEP_BACK_MS since: a clock that is set
        back neither reopens a closed round nor closes an open one. It is `now_ms` after a larger step, as a clock that
        was hours ahead for a moment must not keep a round open, and where the window was edited after that grant.
        """
        if self.last_grant_ms > self.window_lifted_ms and self.last_grant_ms - now_ms <= MAX_STEP_BACK_MS:
            return max(now_ms, self.last_grant_ms)
        return now_ms

    def status(self, now_ms: int) -> Status:
        """The status at `now_ms` of the server's clock; it follows from `refusal` under the present epoch."""
        return _STATUS_OF[self.refusal(now_ms, self.epoch)]

    def refusal(self, now_ms: int, epoch: int) -> Outcome | None:
        """Why a claim under `epoch` by an identity that holds none is refused; None where it is granted.

        `now_ms` is the server's clock. Where several reasons apply, the first in ORDER_OF_DECISION is returned.
        """
        window_ms = self.window_time_ms(now_ms)
        applies = {
            Outcome.PASS_OUTDATED: epoch != self.epoch,
            Outcome.CLOSED: self.closed or window_ms >= self.definition.closes_at_ms,
            Outcome.NOT_OPEN: window_ms < self.definition.opens_at_ms,
            Outcome.PAUSED: self.paused,
            Outcome.SOLD_OUT: self.remaining <= 0,
        }
        return next((outcome for outcome in ORDER_OF_DECISION if applies.get(outcome)), None)
