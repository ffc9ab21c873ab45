"""Reads the answers to the requests of a visit that are not claims: the round, a pass, the look-up of a claim.

Built for speed, as `answers.Reader` is, which reads the claims: an answer in the usual spelling costs one regular
expression or one decoding of JSON. No reader raises: an answer that the API does not have is WRONG, with an error.
"""

import re
from enum import IntEnum
from typing import Any, Final, NamedTuple

import orjson

from claimd.domain.claims import claim_id_prefix
from claimd.domain.times import from_rfc3339
from claimd.identity.passes import PASS_CHARACTERS
from loadtest.client.answers import Answer, Finding, Reader

_MOST_INSTANTS: Final = 4096


class RoundState(IntEnum):
    """The statuses of a round; the values fit into a byte."""

    SCHEDULED = 0
    OPEN = 1
    PAUSED = 2
    SOLD_OUT = 3
    CLOSED = 4


class RoundRead(NamedTuple):
    """A round as a client read it. Times are ms since 1970, by the server's clock."""

    server_ms: int
    state: RoundState
    issued: int
    total: int
    remaining: int
    opens_at_ms: int


class PassRead(NamedTuple):
    """A pass as a client got it: its 68 characters, and when it expires (ms since 1970)."""

    text: bytes
    expires_at_ms: int


_STATES: Final = {state.name.lower(): state for state in RoundState}


class VisitReader:
    """Reads the answers of one round. `status` is three digits, as in `Reader.read`."""

    def __init__(self, round_id: str) -> None:
        self._round_id = round_id
        self._id_prefix = claim_id_prefix(round_id)
        self._rejections = Reader(round_id)
        named = re.escape(round_id.encode()), re.escape(self._id_prefix.encode())
        self._usual_claim = re.compile(
            rb'\{"claim":\{"round":"%b","id":"%b-([1-9][0-9]*)","serial":\1,"claimed_at":"([^"]{24})"\}\}' % named
        ).fullmatch
        self._usual_pass = re.compile(
            rb'\{"pass":"([A-Za-z0-9_-]{%d})","expires_at":"([^"]{24})"\}' % PASS_CHARACTERS
        ).fullmatch
        self._instants: dict[str, int] = {}

    def read_round(self, status: bytes, body: bytes) -> RoundRead | Finding:
        """The round, or a finding: UNCHANGED for a 304, else the rejection."""
        if status == b"304" and not body:
            return Finding(Answer.UNCHANGED)
        if status != b"200":
            return self._rejection(status, body)
        return self._read_document(status, body, timed=True)

    def read_event(self, data: bytes) -> RoundRead | Finding:
        """The round of an event, with a `server_ms` of 0 where the event has no time; or a finding, WRONG."""
        return self._read_document(b"event", data, timed=False)

    def _read_document(self, status: bytes, body: bytes, timed: bool) -> RoundRead | Finding:
        try:
            document = orjson.loads(body)
            issued, total, remaining = document["issued"], document["total"], document["remaining"]
            if document["id"] != self._round_id or not type(issued) is type(total) is type(remaining) is int:
                return _wrong(status, body)
            server_ms = self._instant(document["server_time"]) if timed or "server_time" in document else 0
            opens_at_ms = self._instant(document["opens_at"])
            return RoundRead(server_ms, _STATES[document["status"]], issued, total, remaining, opens_at_ms)
        except (ValueError, KeyError, TypeError):
            return _wrong(status, body)

    def read_pass(self, status: bytes, body: bytes) -> PassRead | Finding:
        """The pass, or the rejection as a finding."""
        if status != b"201":
            return self._rejection(status, body)
        usual = self._usual_pass(body)
        try:
            if usual is not None:
                text, expires_at = usual[1], usual[2].decode()
            else:
                document = orjson.loads(body)
                text, expires_at = document["pass"].encode(), document["expires_at"]
            if len(text) != PASS_CHARACTERS:
                return _wrong(status, body)
            return PassRead(text, self._instant(expires_at))
        except (ValueError, KeyError, TypeError, AttributeError):
            return _wrong(status, body)

    def read_look_up(self, status: bytes, body: bytes) -> Finding:
        """HELD with the claim, NOT_CLAIMED, or the rejection."""
        try:
            if status == b"200":
                usual = self._usual_claim(body)
                if usual is not None:
                    return Finding(Answer.HELD, int(usual[1]), self._instant(usual[2].decode()))
                return self._read_claim(orjson.loads(body)["claim"])
            if status == b"404" and orjson.loads(body)["code"] == "not_claimed":
                return Finding(Answer.NOT_CLAIMED)
        except (ValueError, KeyError, TypeError):
            return _wrong(status, body)
        return self._rejection(status, body)

    def _read_claim(self, claim: Any) -> Finding:
        """Raises ValueError, KeyError or TypeError for what is no claim of the round."""
        serial = claim["serial"]
        if type(serial) is not int or claim["round"] != self._round_id or claim["id"] != f"{self._id_prefix}-{serial}":
            raise ValueError
        return Finding(Answer.HELD, serial, self._instant(claim["claimed_at"]))

    def _rejection(self, status: bytes, body: bytes) -> Finding:
        if status in {b"200", b"201"}:
            return _wrong(status, body)
        finding = self._rejections.read(status, body)
        if finding.error is None:
            # A refusal of a claim, which no other request may get, or one request too many of a person.
            return Finding(Answer.WRONG, error=f"{status.decode('ascii', 'replace')} {finding.answer.name.lower()}")
        return finding

    def _instant(self, text: str) -> int:
        """A time in ms since 1970; cached, as many answers share theirs. Raises ValueError, TypeError."""
        known = self._instants.get(text)
        if known is None:
            if len(self._instants) == _MOST_INSTANTS:
                self._instants.clear()
            self._instants[text] = known = from_rfc3339(text)
        return known


def _wrong(status: bytes, body: bytes) -> Finding:
    start = body[:120].decode("utf-8", "replace")
    return Finding(Answer.WRONG, error=f"{status.decode('ascii', 'replace')} with an unexpected body: {start}")
