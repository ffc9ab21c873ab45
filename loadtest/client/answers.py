"""What an answer says about a claim, whoever asked for it and whether it should have come: one reader for all runs.

It needs neither Locust nor gevent. Whether the answer is the right one is for others: the drop's judge (`check.py`)
knows what each request of the crowd must be told, the history checker (`history/`) knows what everybody was told.
"""

import re
from enum import IntEnum
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from claimd.domain.claims import claim_id_prefix
from claimd.domain.times import from_rfc3339, to_rfc3339


class Told(IntEnum):
    """What a person was told. RATE_LIMITED and UNAUTHENTICATED say nothing about the claim and never reached a batch.

    From WRONG on, and with NOTHING, nobody knows whether a claim was granted.
    """

    NOTHING = 0
    GRANTED = 1
    REPLAYED = 2
    SOLD_OUT = 3
    NOT_OPEN = 4
    PAUSED = 5
    CLOSED = 6
    RATE_LIMITED = 7
    UNAUTHENTICATED = 8
    WRONG = 9
    DROPPED = 10
    UNAVAILABLE = 11


HOLDING: Final = (Told.GRANTED, Told.REPLAYED)
REFUSALS: Final = (Told.SOLD_OUT, Told.NOT_OPEN, Told.PAUSED, Told.CLOSED)
UNKNOWN: Final = (Told.NOTHING, Told.WRONG, Told.DROPPED, Told.UNAVAILABLE)

_CODES: Final = {
    (b"409", "sold_out"): Told.SOLD_OUT,
    (b"409", "not_open"): Told.NOT_OPEN,
    (b"409", "paused"): Told.PAUSED,
    (b"409", "closed"): Told.CLOSED,
    (b"429", "rate_limited"): Told.RATE_LIMITED,
    (b"401", "unauthenticated"): Told.UNAUTHENTICATED,
    (b"503", "unavailable"): Told.UNAVAILABLE,
    (b"503", "overloaded"): Told.UNAVAILABLE,
}
_WITHOUT_A_CLAIM: Final = frozenset(_CODES.values())
_MOST_KNOWN: Final = 1024


def is_told(told: npt.NDArray[np.integer[Any]], which: tuple[Told, ...]) -> npt.NDArray[np.bool_]:
    """Where `told` is one of `which`."""
    table = np.zeros(256, bool)
    table[list(which)] = True
    chosen: npt.NDArray[np.bool_] = table[told]
    return chosen


class Finding(NamedTuple):
    """One answer, read. `serial` and `claimed_at_ms` with a claim; `error` says what is wrong, if anything."""

    told: Told
    serial: int = 0
    claimed_at_ms: int = 0
    error: str | None = None


class Reader:
    """Reads the answers of one round. Built for speed: a claim in the usual spelling costs one regular expression."""

    def __init__(self, round_id: str, opens_at_ms: int | None = None) -> None:
        """`opens_at_ms` is what "not open" must name; None where the opening may be moved during the run."""
        self._round_id = round_id
        self._opens_at = None if opens_at_ms is None else to_rfc3339(opens_at_ms)
        self._id_prefix = claim_id_prefix(round_id)
        # The order of the keys is the server's to choose: another order is read by the slower way, not refused.
        usual = (
            rb'\{"claim":\{"round":"%b","id":"%b-([1-9][0-9]*)","serial":\1,"claimed_at":"([^"]{24})"\},"replayed":%b\}'
        )
        named = re.escape(round_id.encode()), re.escape(self._id_prefix.encode())
        self._usual = {
            b"201": (re.compile(usual % (*named, b"false")).fullmatch, Told.GRANTED),
            b"200": (re.compile(usual % (*named, b"true")).fullmatch, Told.REPLAYED),
        }
        self._instants: dict[bytes, int] = {}
        self._known: dict[bytes, Finding] = {}

    def read(self, status: bytes, body: bytes) -> Finding:
        """What this answer says; `status` is three digits. Never raises."""
        usual = self._usual.get(status)
        if usual is not None:
            match, told = usual
            found = match(body)
            if found is not None:
                serial, instant = found.groups()
                claimed_at_ms = self._instants.get(instant) or self._learn_instant(instant)
                if claimed_at_ms:
                    return Finding(told, int(serial), claimed_at_ms)
        known = self._known.get(status + body)
        if known is None:
            known = self._read(status, body)
            # Refusals are a handful of constant bodies. The bound is for a server that makes each its own.
            if known.told in _WITHOUT_A_CLAIM and len(self._known) < _MOST_KNOWN:
                self._known[status + body] = known
        return known

    def _learn_instant(self, instant: bytes) -> int:
        """Milliseconds of a time. Remembered: the claims of one batch share theirs. 0 where it is not a time."""
        try:
            self._instants[instant] = time_ms = from_rfc3339(instant.decode())
        except ValueError:
            return 0
        return time_ms

    def _read(self, status: bytes, body: bytes) -> Finding:
        """The thorough way: any spelling of JSON."""
        try:
            document = orjson.loads(body)
            if status in {b"200", b"201"}:
                return self._read_claim(status, document)
            return self._read_problem(status, document)
        except (ValueError, KeyError, TypeError):
            shown = body[:120].decode("utf-8", "replace")
            error = f"{status.decode('ascii', 'replace')} with an unexpected body: {shown}"
            return Finding(Told.WRONG, error=error)

    def _read_problem(self, status: bytes, document: Any) -> Finding:
        code = document["code"]
        told = _CODES.get((status, code))
        if told is None or told is Told.UNAVAILABLE:
            return Finding(told or Told.WRONG, error=f"{status.decode()} {code}")
        if told is Told.NOT_OPEN:
            opens_at = document["opens_at"]
            if opens_at != (self._opens_at or to_rfc3339(from_rfc3339(opens_at))):
                return Finding(Told.WRONG, error=f"not_open names another opening: {opens_at}")
        return Finding(told)

    def _read_claim(self, status: bytes, document: object) -> Finding:
        if not isinstance(document, dict):
            raise TypeError
        claim, replayed = document["claim"], document["replayed"]
        serial, claimed_at_ms = claim["serial"], from_rfc3339(claim["claimed_at"])
        whole = (
            type(serial) is int
            and serial > 0
            and claim["round"] == self._round_id
            and claim["id"] == f"{self._id_prefix}-{serial}"
            and replayed is (status == b"200")
        )
        if not whole:
            raise ValueError
        return Finding(Told.REPLAYED if replayed else Told.GRANTED, serial, claimed_at_ms)
