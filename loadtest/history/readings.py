"""What clients read of the round, compared with the claims: a reading must fit the server's own time of it.

A reading may be old: gateways share readings for 50 ms, a cache may keep one for a second, and `server_time` is that of
the answer. So a reading may show what was true within `OLDEST_MS` before its time, and never what was to come.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from loadtest.client.visit_answers import RoundState
from loadtest.history.columns import Ints, Mask, count_true
from loadtest.history.export import Export
from loadtest.target.clock import ServerClock

READING: Final = np.dtype([
    ("client", "i4"),
    ("start", "f8"),
    ("end", "f8"),
    ("server_ms", "i8"),
    ("state", "u1"),
    ("issued", "i8"),
    ("total", "i8"),
    ("remaining", "i8"),
    ("opens_at_ms", "i8"),
])  # fmt: skip
"""A reading of the round: the client's number, when the request was sent and answered (seconds of the operations'
clock), and the round. `server_ms` is 0 where the answer was 304: the round is then what the client had read before."""
Readings = npt.NDArray[np.void]

# max-age of the answer, the 50 ms for which a gateway shares a reading, and the time to read and to answer.
OLDEST_MS: Final = 1_500
# Two gateways may share readings of different age.
_SHARED_MS: Final = 500
_RUNNING: Final = (RoundState.OPEN, RoundState.SOLD_OUT)


def no_readings() -> Readings:
    """An empty column of readings."""
    return np.zeros(0, READING)


def untrue_readings(readings: Readings, export: Export, opens_at_ms: int, clock: ServerClock | None) -> dict[str, int]:
    """Count the readings that no state of a round explains which opens at `opens_at_ms` and is never edited.

    Without a `clock` a 304 is not compared with the claims.
    """
    timed = readings[readings["server_ms"] > 0]
    return {
        "issued_went_back": _went_back(timed),
        "issued_beyond_total": count_true(_beyond_total(readings)),
        "issued_untrue": _issued_untrue(timed, export) + _unchanged_untruly(readings, export, clock),
        "status_untrue": count_true(_status_untrue(timed, opens_at_ms)),
    }


def _beyond_total(readings: Readings) -> Mask:
    """More issued than there are packs, or a remainder that is not the difference."""
    issued, total = readings["issued"], readings["total"]
    wrong: Mask = (issued < 0) | (issued > total) | (readings["remaining"] != total - issued)
    return wrong


def _went_back(readings: Readings) -> int:
    """Count the readings that show less issued than an earlier one of the same client, by the server's times."""
    ordered = readings[np.lexsort((readings["issued"], readings["server_ms"], readings["client"]))]
    if not len(ordered):
        return 0
    _, number = np.unique(ordered["client"], return_inverse=True)
    base_ms = ordered["server_ms"].min()
    span = int(ordered["server_ms"].max() - base_ms) + _SHARED_MS + 1
    moment = number * span + (ordered["server_ms"] - base_ms)
    # The largest count of the same client so far: each client's counts lie above those of the clients before.
    height = int(np.abs(ordered["issued"]).max()) + 1
    largest = np.maximum.accumulate(number * height + ordered["issued"])
    before = np.searchsorted(moment, moment - _SHARED_MS, side="right") - 1
    known = (before >= 0) & (number[before] == number)
    return count_true(known & (largest[before] - number * height > ordered["issued"]))


def _issued_untrue(readings: Readings, export: Export) -> int:
    """Count the readings with more issued than were granted by then, or fewer than were granted long before."""
    granted_ms = np.sort(export.claimed_at_ms)
    at_most = _granted_by(granted_ms, readings["server_ms"])
    at_least = _granted_by(granted_ms, readings["server_ms"] - OLDEST_MS)
    return count_true((readings["issued"] > at_most) | (readings["issued"] < at_least))


def _unchanged_untruly(readings: Readings, export: Export, clock: ServerClock | None) -> int:
    """Count the answers 304 that confirmed a count which had grown long before."""
    unchanged = readings[readings["server_ms"] == 0]
    if clock is None or not len(unchanged):
        return 0
    long_before = np.asarray(clock.ms(unchanged["start"]) - clock.error_ms - OLDEST_MS)
    return count_true(unchanged["issued"] < _granted_by(np.sort(export.claimed_at_ms), long_before))


def _status_untrue(readings: Readings, opens_at_ms: int) -> Mask:
    """Another opening; a round that runs before it, is scheduled long after, sold out with packs left, open without."""
    state, server_ms = readings["state"], readings["server_ms"]
    runs = np.isin(state, _RUNNING)
    early = runs & (server_ms < opens_at_ms)
    late = (state == RoundState.SCHEDULED) & (server_ms > opens_at_ms + OLDEST_MS)
    sold_out = readings["issued"] >= readings["total"]
    elsewhere = (readings["opens_at_ms"] != opens_at_ms) | ~np.isin(state, (*_RUNNING, RoundState.SCHEDULED))
    wrong: Mask = elsewhere | early | late | (runs & (sold_out != (state == RoundState.SOLD_OUT)))
    return wrong


def _granted_by(granted_ms: Ints, moments: npt.NDArray[Any]) -> Ints:
    return np.searchsorted(granted_ms, moments, side="right")
