"""Rounds as each contender keeps them: made, sold out, and audited against every answer that was given."""

import re
import time
from dataclasses import dataclass
from typing import Final, Protocol, cast

from redis import Redis

from loadtest.bench.peers import keys
from loadtest.target.console_client import ConsoleClient

_LASTS_MS: Final = 24 * 3600 * 1000
_SERIAL: Final = re.compile(rb'"serial":([1-9][0-9]*)')


class AuditError(Exception):
    """What was told and what is kept differ; the message says how."""


class Rounds(Protocol):
    """Where the rounds of a contender are."""

    def create(self, round_id: str, total: int) -> None:
        """A round that is open now."""

    def sell_out(self, round_id: str, issued: int) -> None:
        """Lower the total to what was issued."""

    def audit(self, round_id: str, issued: int) -> None:
        """Raises AuditError where `issued` claims with serials 1 to `issued` are not all there is."""


@dataclass(frozen=True, slots=True)
class ClaimdRounds:
    """Through claimd's console, and its own audit: of the claims and the log, not of the counters."""

    console: ConsoleClient

    def create(self, round_id: str, total: int) -> None:
        """See `Rounds.create`."""
        now_ms = int(time.time() * 1000)
        self.console.create_round(round_id, total, now_ms, now_ms + _LASTS_MS)

    def sell_out(self, round_id: str, issued: int) -> None:
        """See `Rounds.sell_out`."""
        self.console.edit_round(round_id, {"total": issued, "reason": "bench: nothing is left"})

    def audit(self, round_id: str, issued: int) -> None:
        """See `Rounds.audit`."""
        audit = self.console.audit(round_id)
        if not audit["ok"] or audit["claims"] != issued:
            raise AuditError(f"{round_id}: {issued} claims were told, the audit says {audit}")


@dataclass(frozen=True, slots=True)
class PeerRounds:
    """In the server itself: the peers have nothing that makes rounds."""

    redis: "Redis"

    def create(self, round_id: str, total: int) -> None:
        """See `Rounds.create`."""
        now_ms = int(time.time() * 1000)
        fields = {"issued": 0, "opens_at_ms": now_ms, "closes_at_ms": now_ms + _LASTS_MS, "paused": 0, "closed": 0}
        for name, value in {"total": total, **fields}.items():
            self.redis.hset(keys.round_key(round_id), name, str(value))

    def sell_out(self, round_id: str, issued: int) -> None:
        """See `Rounds.sell_out`."""
        self.redis.hset(keys.round_key(round_id), "total", str(issued))

    def audit(self, round_id: str, issued: int) -> None:
        """See `Rounds.audit`."""
        kept = cast("list[bytes]", self.redis.hvals(keys.claims_key(round_id)))
        serials = sorted(int(held.partition(b":")[0]) for held in kept)
        if serials != list(range(1, issued + 1)):
            raise AuditError(f"{round_id}: {issued} claims were told, {len(serials)} are kept")


class NoRounds:
    """For what answers a constant."""

    def create(self, round_id: str, total: int) -> None:
        """Nothing to make."""

    def sell_out(self, round_id: str, issued: int) -> None:
        """Nothing to change."""

    def audit(self, round_id: str, issued: int) -> None:
        """Nothing to audit."""


def serial_told(body: bytes) -> int:
    """The serial in the body of a granted or replayed claim. Raises AuditError."""
    found = _SERIAL.search(body)
    if found is None:
        raise AuditError(f"a claim was answered with {body[:200]!r}")
    return int(found[1])
