"""Whether the generator kept up: the difference between a slow server and a slow crowd.

A request is late *by the generator's own doing* when it was due, a connection was free, and it still left more than
`LATE_SECONDS` after the later of the two. Waiting for a busy server (no connection free) is not lateness: it is
latency, because latency counts from the intended time.

There is a trap in "no connection free": a generator without processor time leaves answers unread, and their
connections look busy. The dispatcher therefore notes every time it woke up late (a *blind spell*, from when it should
have woken until it did): whatever could have been sent in a blind spell is late by as much of the spell as it waited,
free connection or not. And a generator that used up its core (`CPU_CEILING` of it over any `CPU_WINDOW_SECONDS`)
proves nothing either, however its figures look.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from loadtest.crowd.arrivals import Floats

LATE_SECONDS: Final = 0.010
LATE_FRACTION_CEILING: Final = 0.01
CPU_WINDOW_SECONDS: Final = 5.0
CPU_CEILING: Final = 0.95


@dataclass(frozen=True, slots=True)
class BlindSpell:
    """The dispatcher should have woken at `begin` and did at `end`, in seconds after the opening."""

    begin: float
    end: float


def own_lateness(intended: Floats, sent: Floats, free_since: Floats, blind: Sequence[BlindSpell]) -> Floats:
    """Seconds each request was late by the generator's own doing.

    `sent` must ascend. `free_since` is when the request's connection, or an earlier one still free, came free.
    """
    late = np.maximum(sent - np.maximum(intended, free_since), 0.0)
    for spell in blind:
        # Answers left unread in a spell are read, and what waited for them is sent, in the moments after it.
        first, last = np.searchsorted(sent, [spell.begin, spell.end + LATE_SECONDS])
        held = np.s_[first:last]
        in_spell = np.minimum(sent[held], spell.end) - np.maximum(intended[held], spell.begin)
        late[held] = np.maximum(late[held], in_spell)
    return late


def late_fraction(late: Floats) -> float:
    """The share of requests that were late by more than `LATE_SECONDS`; 0 for none at all."""
    return float(np.mean(late > LATE_SECONDS)) if len(late) else 0.0


def busiest_window(wall: Sequence[float], cpu: Sequence[float], window: float = CPU_WINDOW_SECONDS) -> float:
    """The highest share of one core used over any `window` seconds, from samples of wall and processor time.

    A run shorter than the window is one window.
    """
    if len(wall) < 2:
        return 0.0
    times, used = np.asarray(wall), np.asarray(cpu)
    window = min(window, float(times[-1] - times[0]))
    starts = np.searchsorted(times, times - window + 1e-9, side="right") - 1
    whole = starts >= 0
    spans = times[whole] - times[starts[whole]]
    shares = (used[whole] - used[starts[whole]]) / np.where(spans > 0, spans, np.inf)
    return float(shares.max(initial=0.0))
