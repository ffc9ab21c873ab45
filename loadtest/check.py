"""What an answer is, and whether it is what it should be. A correct refusal is a success; the rest is an error.

The crowd gets no second chance: a 503 is an error here, because a drop that turns people away did not hold.
Only the app users (`users.py`) retry, as an app would.
"""

import re
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from claimd.domain.claims import claim_id_prefix
from claimd.domain.times import from_rfc3339, to_rfc3339
from loadtest.crowd import Kind


class Told(IntEnum):
    """What a person was told. From WRONG on: errors, after which nobody knows whether a claim was granted."""

    NOTHING = 0
    GRANTED = 1
    REPLAYED = 2
    SOLD_OUT = 3
    NOT_OPEN = 4
    UNAUTHENTICATED = 5
    WRONG = 6
    DROPPED = 7


UNKNOWN: Final = (Told.NOTHING, Told.WRONG, Told.DROPPED)
REFUSED: Final = (Told.NOT_OPEN, Told.UNAUTHENTICATED)

_CLAIMING: Final = frozenset({Kind.CLAIM, Kind.AGAIN, Kind.APP})
_ANSWERS_TO_A_CLAIM: Final = frozenset({Told.GRANTED, Told.REPLAYED, Told.SOLD_OUT})
_ALLOWED: Final[dict[int, frozenset[Told]]] = {
    **dict.fromkeys(_CLAIMING, _ANSWERS_TO_A_CLAIM),
    Kind.EARLY: frozenset({Told.NOT_OPEN}),
    Kind.BAD: frozenset({Told.UNAUTHENTICATED}),
}
_REFUSALS: Final = {
    (b"409", "sold_out"): Told.SOLD_OUT,
    (b"409", "not_open"): Told.NOT_OPEN,
    (b"401", "unauthenticated"): Told.UNAUTHENTICATED,
}
_MOST_KNOWN: Final = 1024


def told_unknown(rows: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Which rows (`records.ROW`) leave it open whether a claim was granted."""
    return np.isin(rows["told"], [int(told) for told in UNKNOWN])


class Finding(NamedTuple):
    """One answer, judged. `serial` and `claimed_at_ms` with a claim; `error` says what is wrong, if anything."""

    told: Told
    serial: int = 0
    claimed_at_ms: int = 0
    error: str | None = None


class Judge:
    """Judges the answers of one round. Built for speed: a claim in the usual spelling costs one regular expression."""

    def __init__(self, round_id: str, opens_at_ms: int) -> None:
        self._round_id = round_id
        self._opens_at = to_rfc3339(opens_at_ms)
        self._id_prefix = claim_id_prefix(round_id)
        # The order of the keys is the server's to choose: another order is read by the slower way, not refused.
        usual = (
            rb'\{"claim":\{"round":"%b","id":"%b-([1-9][0-9]*)","serial":\1,"claimed_at":"([^"]{24})"\},"replayed":%b\}'
        )
        named = re.escape(round_id.encode()), re.escape(self._id_prefix.encode())
        claims = {
            b"201": (re.compile(usual % (*named, b"false")).fullmatch, Told.GRANTED),
            b"200": (re.compile(usual % (*named, b"true")).fullmatch, Told.REPLAYED),
        }
        self._usual = [claims if kind in _CLAIMING else {} for kind in Kind]
        self._instants: dict[bytes, int] = {}
        self._refusals: dict[bytes, Finding] = {}

    def judge(self, kind: int, status: bytes, body: bytes) -> Finding:
        """What this answer to a request of `kind` says. Never raises."""
        usual = self._usual[kind].get(status)
        if usual is not None:
            match, told = usual
            found = match(body)
            if found is not None:
                serial, instant = found.groups()
                claimed_at_ms = self._instants.get(instant) or self._learn_instant(instant)
                if claimed_at_ms:
                    return Finding(told, int(serial), claimed_at_ms)
        known = self._refusals.get(status + body)
        if known is None:
            known = self._read(status, body)
            # Refusals are a handful of constant bodies. The bound is for a server that makes each its own.
            if known.told in {Told.SOLD_OUT, *REFUSED} and len(self._refusals) < _MOST_KNOWN:
                self._refusals[status + body] = known
        return self._allow(kind, known)

    def _allow(self, kind: int, finding: Finding) -> Finding:
        if finding.error is not None or finding.told in _ALLOWED[kind]:
            return finding
        return Finding(
            Told.WRONG, error=f"{finding.told.name.lower()} told to a request of kind {Kind(kind).name.lower()}"
        )

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
            told = _REFUSALS.get((status, document["code"]))
            if told is Told.NOT_OPEN and document["opens_at"] != self._opens_at:
                return Finding(Told.WRONG, error=f"not_open names another opening: {document['opens_at']}")
            if told is None:
                return Finding(Told.WRONG, error=f"{status.decode()} {document['code']}")
            return Finding(told)
        except (ValueError, KeyError, TypeError):
            return self._wrong(status, body)

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

    @staticmethod
    def _wrong(status: bytes, body: bytes) -> Finding:
        shown = body[:120].decode("utf-8", "replace")
        return Finding(Told.WRONG, error=f"{status.decode('ascii', 'replace')} with an unexpected body: {shown}")
