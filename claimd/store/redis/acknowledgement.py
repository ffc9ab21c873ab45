"""What must have happened to a write before it is told: nothing more than the server itself does, or a replica has it.

A call and the WAITs that follow it are one write to the server, so being sure costs no round trip of ours. WAITAOF by
itself takes a second: a replica tells what is on its disk once a second or when it is asked, and it is asked before its
disk has it. The WAIT in front has it asked twice.
"""

import logging
import math
import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from redis.exceptions import ResponseError

from claimd.domain.outcomes import Decision, EditOutcome, Outcome
from claimd.store.errors import StoreUnavailable

# Two of them, one after the other, have to end well before the call is given up (`redis_store.py`), also twice where
# the server has forgotten the script.
PATIENCE_MS = 450

# A replica that did not confirm in time is not waited for like that again at once: who is refused needs no replica, and
# must not queue behind those who do.
_IMPATIENCE_MS = 50
_IMPATIENT_SECONDS = 2.0

# Redis before 7.2 has no such command, a server without an append-only file cannot wait for it: WAIT is all there is.
_NO_WAITAOF = re.compile(r"unknown command|appendonly is disabled")

_UNAVAILABLE = Decision(Outcome.UNAVAILABLE)

_log = logging.getLogger(__name__)


class Durability(StrEnum):
    """`LOCAL`: what the server keeps. `REPLICA`: a replica has it too, on its disk where both can tell."""

    LOCAL = "local"
    REPLICA = "replica"


def waits(patience_ms: int = PATIENCE_MS) -> tuple[tuple[str | int, ...], ...]:
    """The commands that follow a write on the same connection."""
    return ("WAIT", 1, patience_ms), ("WAITAOF", 1, 1, patience_ms)


def is_confirmed(replies: Sequence[Any]) -> bool:
    """Whether the replies to `waits`, where an error is a value, say that a replica has the write."""
    waited, synced = replies
    if isinstance(synced, ResponseError) and _NO_WAITAOF.search(str(synced)):
        return isinstance(waited, int) and waited >= 1
    return isinstance(synced, list) and min(synced) >= 1


class Local:
    """Whatever the server replied may be told."""

    rewrite = "0"

    def waits(self) -> tuple[tuple[str | int, ...], ...]:
        """Nothing follows a call."""
        return ()

    def claims(self, decisions: list[Decision], _replies: Sequence[Any]) -> list[Decision]:
        """All of them."""
        return decisions

    def edit(self, _outcome: EditOutcome, _replies: Sequence[Any]) -> None:
        """It is done."""

    def looks(self) -> tuple[tuple[str | int, ...], ...]:
        """Nothing to look for."""
        return ()

    def may_confirm(self, _replies: Sequence[Any]) -> bool:
        """Nobody has to."""
        return True


class Replicated:
    """What a replica has may be told, and refusals. `clock` counts seconds."""

    rewrite = "1"

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._impatient_until = -math.inf

    def waits(self) -> tuple[tuple[str | int, ...], ...]:
        """What follows a call."""
        return waits(_IMPATIENCE_MS if self._clock() < self._impatient_until else PATIENCE_MS)

    def claims(self, decisions: list[Decision], replies: Sequence[Any]) -> list[Decision]:
        """Those of a batch; whoever holds a claim that was not confirmed learns nothing."""
        if self._read(replies, needed=any(decision.serial for decision in decisions)):
            return decisions
        return [_UNAVAILABLE if decision.serial else decision for decision in decisions]

    def edit(self, outcome: EditOutcome, replies: Sequence[Any]) -> None:
        """Raises StoreUnavailable where an edit was done, but not confirmed."""
        # A round that exists may have been created by a call that nobody confirmed.
        done = outcome in (EditOutcome.DONE, EditOutcome.ROUND_EXISTS)
        if not self._read(replies, needed=done) and done:
            raise StoreUnavailable("no replica has confirmed the edit: a failover may lose it")

    def looks(self) -> tuple[tuple[str | int, ...], ...]:
        """What tells whether a replica is there: a connection that has written nothing waits for its presence alone."""
        return (("WAIT", 1, _IMPATIENCE_MS),)

    def may_confirm(self, replies: Sequence[Any]) -> bool:
        """Whether the replies to `looks` say that one is."""
        (present,) = replies
        return isinstance(present, int) and present >= 1

    def _read(self, replies: Sequence[Any], *, needed: bool) -> bool:
        if is_confirmed(replies):
            # One that had nothing to wait for says nothing about the replica.
            if needed:
                self._impatient_until = -math.inf
            return True
        now = self._clock()
        if now >= self._impatient_until:
            self._impatient_until = now + _IMPATIENT_SECONDS
            _log.warning("no replica has confirmed a call: %s", ", ".join(str(reply) for reply in replies))
        return False


def made_sure(durability: Durability, clock: Callable[[], float]) -> Local | Replicated:
    """How to be sure of what is told."""
    return Replicated(clock) if durability is Durability.REPLICA else Local()
