"""When a write may be acknowledged: once the server itself has replied, or once a replica has the write too.

The commands that wait for a replica follow a call in the same write to the server, so a confirmation costs no round
trip of ours. WAITAOF by itself takes a second: a replica reports what is on its disk once a second or when it is asked,
and it is asked before its disk has the write. The WAIT in front of it has it asked twice.
"""

import logging
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from redis.exceptions import ResponseError

from claimd.domain.outcomes import Decision, EditOutcome, Outcome
from claimd.store.durability import Durability
from claimd.store.errors import StoreUnavailable

# WAIT and WAITAOF, one after the other, have to end well before the call times out (`pools.py`), also twice where the
# server has forgotten the script.
PATIENCE_MS = 450

# After a replica did not confirm in time, calls wait for it no longer than this: refusals need no replica, and must not
# queue behind calls that do.
_IMPATIENCE_MS = 50
_IMPATIENT_SECONDS = 2.0

# Redis before 7.2 has no such command, and a server without an append-only file cannot wait for it: WAIT has to do.
_NO_WAITAOF = re.compile(r"unknown command|appendonly is disabled")

_UNAVAILABLE = Decision(Outcome.UNAVAILABLE)

_log = logging.getLogger(__name__)

Commands = tuple[tuple[str | int, ...], ...]


class Confirmed(NamedTuple):
    """The decisions of a batch that may be acknowledged, and whether the replica had everything that was written."""

    decisions: list[Decision]
    confirmed: bool


class Acknowledgement(Protocol):
    """Which commands follow a call, and what their replies allow. `replies` has errors of the server as values."""

    @property
    def rewrite_replays(self) -> bool:
        """Whether claim.lua has to write something for a replay: WAIT waits for its own connection's writes alone."""
        ...

    def confirmation_commands(self) -> Commands:
        """The commands that follow a call which may write."""
        ...

    def confirm(self, decisions: list[Decision], replies: Sequence[Any]) -> Confirmed:
        """The same decisions, but UNAVAILABLE for each claim that is granted or replayed without a confirmation."""
        ...

    def require_confirmed_edit(self, outcome: EditOutcome, replies: Sequence[Any]) -> None:
        """Raise StoreUnavailable where an edit was done without a confirmation."""
        ...

    def presence_commands(self) -> Commands:
        """The commands that follow a call which writes nothing, to find out whether a replica is connected."""
        ...

    def has_replica(self, replies: Sequence[Any]) -> bool:
        """Whether the replies to `presence_commands` show all the replicas that a confirmation needs."""
        ...


class LocalAck:
    """The server's reply is enough: no command follows a call, and everything may be acknowledged."""

    rewrite_replays = False

    def confirmation_commands(self) -> Commands:
        """No commands: nothing but the reply itself is waited for."""
        return ()

    def confirm(self, decisions: list[Decision], _replies: Sequence[Any]) -> Confirmed:
        """All decisions, unchanged: the server's reply confirms them."""
        return Confirmed(decisions, True)

    def require_confirmed_edit(self, _outcome: EditOutcome, _replies: Sequence[Any]) -> None:
        """Never raises: the server's reply confirms an edit."""

    def presence_commands(self) -> Commands:
        """No commands: the presence of replicas does not matter."""
        return ()

    def has_replica(self, _replies: Sequence[Any]) -> bool:
        """True: no replica is needed."""
        return True


class ReplicaAck:
    """A replica has to confirm each write; refusals need no confirmation. `clock` gives seconds that never go back."""

    rewrite_replays = True

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._impatient_until = -math.inf

    def confirmation_commands(self) -> Commands:
        """See `Acknowledgement.confirmation_commands`; they wait for 50 ms at most while the replica is late."""
        return confirmation_commands(_IMPATIENCE_MS if self._clock() < self._impatient_until else PATIENCE_MS)

    def confirm(self, decisions: list[Decision], replies: Sequence[Any]) -> Confirmed:
        """See `Acknowledgement.confirm`."""
        if self._read(replies, wrote=any(decision.serial for decision in decisions)):
            return Confirmed(decisions, True)
        return Confirmed([_UNAVAILABLE if decision.serial else decision for decision in decisions], False)

    def require_confirmed_edit(self, outcome: EditOutcome, replies: Sequence[Any]) -> None:
        """See `Acknowledgement.require_confirmed_edit`."""
        # A round that exists may have been created by a call whose confirmation was lost.
        done = outcome in (EditOutcome.DONE, EditOutcome.ROUND_EXISTS)
        if not self._read(replies, wrote=done) and done:
            raise StoreUnavailable("no replica has confirmed the edit: a failover may lose it")

    def presence_commands(self) -> Commands:
        """WAIT alone: on a connection that has written nothing it waits for the presence of a replica."""
        return (("WAIT", 1, _IMPATIENCE_MS),)

    def has_replica(self, replies: Sequence[Any]) -> bool:
        """See `Acknowledgement.has_replica`."""
        (present,) = replies
        return isinstance(present, int) and present >= 1

    def _read(self, replies: Sequence[Any], *, wrote: bool) -> bool:
        """Whether a replica has confirmed the call, remembering for how long calls are to wait from now on."""
        if is_confirmed(replies):
            # A call that wrote nothing was confirmed at once, whatever the state of the replica.
            if wrote:
                self._impatient_until = -math.inf
            return True
        now = self._clock()
        if now >= self._impatient_until:
            self._impatient_until = now + _IMPATIENT_SECONDS
            _log.warning("no replica has confirmed a call: %s", ", ".join(str(reply) for reply in replies))
        return False


def acknowledgement_for(durability: Durability, clock: Callable[[], float]) -> Acknowledgement:
    """The acknowledgement that a setting asks for."""
    return ReplicaAck(clock) if durability is Durability.REPLICA else LocalAck()


def confirmation_commands(patience_ms: int = PATIENCE_MS) -> Commands:
    """The commands that wait, each for `patience_ms` at most, until a replica has what their connection wrote."""
    return ("WAIT", 1, patience_ms), ("WAITAOF", 1, 1, patience_ms)


def is_confirmed(replies: Sequence[Any]) -> bool:
    """Whether the replies to `confirmation_commands`, with errors as values, show that a replica has the write."""
    waited, synced = replies
    if isinstance(synced, ResponseError) and _NO_WAITAOF.search(str(synced)):
        return isinstance(waited, int) and waited >= 1
    return isinstance(synced, list) and min(synced) >= 1
