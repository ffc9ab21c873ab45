"""Reads an answer to a claim: the one reader, and the one set of answers, of every load in the harness.

It needs neither Locust nor gevent. It does not decide whether an answer is correct: the drop's judge (`drop/judge.py`)
compares it with the kind of request, the history checker (`history/`) with all the other answers of the round.
"""

import re
from enum import IntEnum
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from claimd.domain.claims import claim_id_prefix
from claimd.domain.times import from_rfc3339, to_rfc3339


class Answer(IntEnum):
    """What the client of a request learned; the values fit into a byte.

    HELD to PASS_ISSUED answer the requests of a visit that are no claims: a look-up of the claim (HELD, NOT_CLAIMED),
    the round (READ, UNCHANGED), a pass (PASS_ISSUED). All others answer a claim.
    RATE_LIMITED and UNAUTHENTICATED leave open what became of the identity's other claims: such a request never
    reached a batch. NO_ANSWER: none within the run. DROPPED: the connection closed first. WRONG: none of the answers
    that the API has.
    """

    NO_ANSWER = 0
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
    OVERLOADED = 12
    HELD = 13
    NOT_CLAIMED = 14
    READ = 15
    UNCHANGED = 16
    PASS_ISSUED = 17
    BARRED = 18


# The client holds a claim, by the answer to a claim.
HOLDING: Final = (Answer.GRANTED, Answer.REPLAYED)
# The answer shows a claim.
SHOWING: Final = (*HOLDING, Answer.HELD)
# The answers of a visit that are not about a claim.
OF_VISITS: Final = (Answer.HELD, Answer.NOT_CLAIMED, Answer.READ, Answer.UNCHANGED, Answer.PASS_ISSUED)
# The round refused the claim.
REFUSALS: Final = (Answer.SOLD_OUT, Answer.NOT_OPEN, Answer.PAUSED, Answer.CLOSED, Answer.BARRED)
# The outcome is unknown: the claim may have been granted. An overloaded gateway decides nothing, but the harness does
# not take its word for that.
UNKNOWN: Final = (Answer.NO_ANSWER, Answer.WRONG, Answer.DROPPED, Answer.UNAVAILABLE, Answer.OVERLOADED)

_CODES: Final = {
    (b"409", "sold_out"): Answer.SOLD_OUT,
    (b"409", "not_open"): Answer.NOT_OPEN,
    (b"409", "paused"): Answer.PAUSED,
    (b"409", "closed"): Answer.CLOSED,
    (b"403", "barred"): Answer.BARRED,
    (b"429", "rate_limited"): Answer.RATE_LIMITED,
    (b"401", "unauthenticated"): Answer.UNAUTHENTICATED,
    (b"503", "unavailable"): Answer.UNAVAILABLE,
    (b"503", "overloaded"): Answer.OVERLOADED,
}
_PROBLEMS: Final = frozenset(_CODES.values())
_MOST_KNOWN: Final = 1024


def is_one_of(answers: npt.NDArray[np.integer[Any]], which: tuple[Answer, ...]) -> npt.NDArray[np.bool_]:
    """A mask of the column `answers` (values of `Answer`): true where it is one of `which`."""
    table = np.zeros(256, bool)
    table[list(which)] = True
    chosen: npt.NDArray[np.bool_] = table[answers]
    return chosen


class Finding(NamedTuple):
    """One answer that was read.

    `serial` (from 1) and `claimed_at_ms` (since 1970, the server's clock) come with a claim and are 0 without one.
    `error` is a line for the report where the answer is WRONG, UNAVAILABLE or OVERLOADED, else None.
    """

    answer: Answer
    serial: int = 0
    claimed_at_ms: int = 0
    error: str | None = None


class Reader:
    """Reads the answers of one round. Built for speed: a claim in the usual spelling costs one regular expression,
    a refusal with a known body one look-up."""

    def __init__(self, round_id: str, opens_at_ms: int | None = None) -> None:
        """`opens_at_ms` is the time that "not open" must name; None accepts any, for runs that move the opening."""
        self._round_id = round_id
        self._opens_at = None if opens_at_ms is None else to_rfc3339(opens_at_ms)
        self._id_prefix = claim_id_prefix(round_id)
        # JSON leaves the order of keys to the server: `_read` accepts every other one.
        usual = (
            rb'\{"claim":\{"round":"%b","id":"%b-([1-9][0-9]*)","serial":\1,"claimed_at":"([^"]{24})"\},"replayed":%b\}'
        )
        named = re.escape(round_id.encode()), re.escape(self._id_prefix.encode())
        self._usual = {
            b"201": (re.compile(usual % (*named, b"false")).fullmatch, Answer.GRANTED),
            b"200": (re.compile(usual % (*named, b"true")).fullmatch, Answer.REPLAYED),
        }
        self._instants: dict[bytes, int] = {}
        self._known: dict[bytes, Finding] = {}

    def read(self, status: bytes, body: bytes) -> Finding:
        """The finding of one answer; `status` is its three digits. Never raises."""
        usual = self._usual.get(status)
        if usual is not None:
            match, answer = usual
            found = match(body)
            if found is not None:
                serial, instant = found.groups()
                claimed_at_ms = self._instants.get(instant) or self._learn_instant(instant)
                if claimed_at_ms:
                    return Finding(answer, int(serial), claimed_at_ms)
        known = self._known.get(status + body)
        if known is None:
            known = self._read(status, body)
            # claimd has a handful of constant bodies. The bound is for a server that makes each body its own.
            if known.answer in _PROBLEMS and len(self._known) < _MOST_KNOWN:
                self._known[status + body] = known
        return known

    def _learn_instant(self, instant: bytes) -> int:
        """An RFC 3339 time in ms since 1970, or 0 where it is none; cached, as the claims of a batch share theirs."""
        try:
            self._instants[instant] = time_ms = from_rfc3339(instant.decode())
        except ValueError:
            return 0
        return time_ms

    def _read(self, status: bytes, body: bytes) -> Finding:
        """The same for any spelling of JSON, slower."""
        try:
            document = orjson.loads(body)
            if status in {b"200", b"201"}:
                return self._read_claim(status, document)
            return self._read_problem(status, document)
        except (ValueError, KeyError, TypeError):
            start = body[:120].decode("utf-8", "replace")
            error = f"{status.decode('ascii', 'replace')} with an unexpected body: {start}"
            return Finding(Answer.WRONG, error=error)

    def _read_problem(self, status: bytes, document: Any) -> Finding:
        code = document["code"]
        answer = _CODES.get((status, code), Answer.WRONG)
        if answer in UNKNOWN:
            return Finding(answer, error=f"{status.decode()} {code}")
        if answer is Answer.NOT_OPEN:
            opens_at = document["opens_at"]
            if opens_at != (self._opens_at or to_rfc3339(from_rfc3339(opens_at))):
                return Finding(Answer.WRONG, error=f"not_open names another opening: {opens_at}")
        return Finding(answer)

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
        return Finding(Answer.REPLAYED if replayed else Answer.GRANTED, serial, claimed_at_ms)
