"""The rounds of each contender: how to create, sell out and audit them."""

import time
from dataclasses import dataclass
from typing import Final, Protocol, cast

from redis import Redis

from claimd.domain.claims import claim_id_prefix
from loadtest.bench.peers import keys
from loadtest.target.console_client import ConsoleClient

_LASTS_MS: Final = 24 * 3600 * 1000


class AuditError(Exception):
    """The claims that were acknowledged and those that are stored differ; the message names the difference."""


class Rounds(Protocol):
    """The rounds of a contender."""

    def create(self, round_id: str, total: int) -> None:
        """Create a round that is open for a day."""

    def sell_out(self, round_id: str, issued: int) -> None:
        """Lower the total to the claims issued."""

    def audit(self, round_id: str, issued: int) -> None:
        """Raise AuditError unless the stored claims are exactly those with serials 1 to `issued`."""


@dataclass(frozen=True, slots=True)
class ClaimdRounds:
    """Rounds of claimd, by its console. Its audit recounts claims and log, not the counters."""

    console: ConsoleClient

    def create(self, round_id: str, total: int) -> None:
        """See `Rounds.create`."""
        now_ms = int(time.time() * 1000)
        self.console.create_round(round_id, total, now_ms, now_ms + _LASTS_MS)

    def sell_out(self, round_id: str, issued: int) -> None:
        """See `Rounds.sell_out`."""
        self.console.edit_round(round_id, {"total": issued, "reason": "bench: sell out"})

    def audit(self, round_id: str, issued: int) -> None:
        """See `Rounds.audit`."""
        audit = self.console.audit(round_id)
        if not audit["ok"] or audit["claims"] != issued:
            raise AuditError(f"{round_id}: {issued} claims were acknowledged, the audit found {audit}")


@dataclass(frozen=True, slots=True)
class PeerRounds:
    """Rounds of a peer, directly in the server: the peers have no console."""

    redis: "Redis"

    def create(self, round_id: str, total: int) -> None:
        """See `Rounds.create`."""
        now_ms = int(time.time() * 1000)
        fields = {
            "title": f"A drop of {total:,} packs",
            "pack": '{"vouchers":5,"off":10,"from":40}',
            "eligibility": "{}",
            "id_prefix": claim_id_prefix(round_id),
            "total": total,
            "issued": 0,
            "opens_at_ms": now_ms,
            "closes_at_ms": now_ms + _LASTS_MS,
            "paused": 0,
            "closed": 0,
        }
        for name, value in fields.items():
            self.redis.hset(keys.round_key(round_id), name, str(value))

    def sell_out(self, round_id: str, issued: int) -> None:
        """See `Rounds.sell_out`."""
        self.redis.hset(keys.round_key(round_id), "total", str(issued))

    def audit(self, round_id: str, issued: int) -> None:
        """See `Rounds.audit`."""
        stored = cast("list[bytes]", self.redis.hvals(keys.claims_key(round_id)))
        serials = sorted(int(claim.partition(b":")[0]) for claim in stored)
        if serials != list(range(1, issued + 1)):
            raise AuditError(f"{round_id}: {issued} claims were acknowledged, {len(serials)} are stored")


class NoRounds:
    """No rounds: for a contender that answers a constant."""

    def create(self, round_id: str, total: int) -> None:
        """Do nothing: this contender keeps no rounds."""

    def sell_out(self, round_id: str, issued: int) -> None:
        """Do nothing: this contender keeps no rounds."""

    def audit(self, round_id: str, issued: int) -> None:
        """Do nothing: this contender keeps no rounds."""
