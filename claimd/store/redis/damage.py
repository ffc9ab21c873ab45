"""Rounds that are on the server and cannot be read: each is left out by itself, and never breaks the list of rounds.

Examples: a key that another program has written, a hash that lost a field, a key on another node of a cluster.
"""

import logging
from collections.abc import Iterable, Mapping

from redis.exceptions import AskError, ClusterCrossSlotError, TryAgainError

from claimd.domain.archived import Archived
from claimd.domain.rounds import Round
from claimd.domain.times import MAX_TIME_MS
from claimd.store.errors import StoreDamaged
from claimd.store.redis.codec import read_archived, read_round

# MOVED is a kind of ASK in the library.
_ABOUT_ONE_KEY = (AskError, ClusterCrossSlotError, TryAgainError)
_ABOUT_ONE_KEY_WORDS = ("WRONGTYPE ", "Hash slot not served")

_log = logging.getLogger(__name__)


class Unreadable:
    """Logs each round that cannot be read once, as lists are read many times a second."""

    def __init__(self) -> None:
        self._known: frozenset[str] = frozenset()

    def note(self, damages: Iterable[StoreDamaged]) -> None:
        """Log the damages of one page that are new; damages of other pages are remembered."""
        met = frozenset(str(damage) for damage in damages)
        for sentence in sorted(met - self._known):
            _log.error("left out of the list: %s", sentence, extra={"bounded": True})
        self._known |= met


def round_or_damage(round_id: str, reply: Mapping[bytes, bytes] | Exception) -> Round | Archived | StoreDamaged | None:
    """The round of a reply to HGETALL, or its stub, None for an empty reply, or the reason why it cannot be read.

    Raises the server's error where it is not about this one key.
    """
    if isinstance(reply, Exception):
        if not isinstance(reply, _ABOUT_ONE_KEY) and not str(reply).startswith(_ABOUT_ONE_KEY_WORDS):
            raise reply
        return StoreDamaged(f"the round {round_id!r} cannot be read: {reply}")
    try:
        archived = read_archived(reply)
        if archived is not None:
            return archived
        found = read_round(reply)
        if found is not None:
            _check(found)
    except (KeyError, ValueError, TypeError) as error:
        return StoreDamaged(f"the round {round_id!r} is damaged: {type(error).__name__}: {error}")
    return found


def _check(found: Round) -> None:
    """Raise ValueError or TypeError for fields that can be read, but not shown."""
    definition = found.definition
    for time_ms in (definition.opens_at_ms, definition.closes_at_ms):
        if not 0 <= time_ms <= MAX_TIME_MS:
            raise ValueError(f"{time_ms} is no time")
    if not isinstance(definition.pack, dict) or not isinstance(definition.eligibility, dict):
        raise TypeError("pack and eligibility must be objects")
