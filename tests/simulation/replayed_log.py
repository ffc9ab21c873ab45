"""The oracle's check of the store: the log is replayed from its beginning and compared with the claims."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from claimd.domain.claims import VoidedClaim
from claimd.domain.log import EditEntry, GrantsEntry, LogEntry, VoidEntry
from tests.simulation.evidence import Evidence
from tests.simulation.history import person


@dataclass
class ReplayedRound:
    """The state of one round after the log entries read so far. `voided` are the claims that were taken back."""

    round_id: str
    fields: dict[str, str] = field(default_factory=lambda: {"paused": "0", "closed": "0"})
    claims: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    newest_ms: int = 0
    voided: dict[bytes, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    barred: set[bytes] = field(default_factory=set)

    def read(self, entry: LogEntry) -> Iterator[str]:
        """Apply one more entry; yields a sentence for each rule that it breaks."""
        if isinstance(entry, EditEntry):
            self.fields.update(entry.fields)
            return
        if isinstance(entry, VoidEntry):
            yield from self._void(entry.claim)
            return
        yield from self._check_open(entry)
        granted = len(self.claims) + sum(map(len, self.voided.values()))
        if entry.first_serial != granted + 1:
            yield f"{self.round_id}: serial {entry.first_serial} follows {granted} grants"
        for step, identity in enumerate(entry.split()):
            if identity in self.claims:
                yield f"{self.round_id}: {person(identity)} was granted a second claim"
            if identity in self.barred:
                yield f"{self.round_id}: {person(identity)} is barred, and was granted a claim"
            self.claims[identity] = (entry.first_serial + step, entry.at_ms)
        if len(self.claims) > int(self.fields["total"]):
            yield f"{self.round_id}: {len(self.claims)} grants of a total of {self.fields['total']}"
        self.newest_ms = entry.at_ms

    def ever_held(self, identity: bytes) -> list[tuple[int, int]]:
        """Serial and time of each claim that the identity holds or held."""
        return [*self.voided.get(identity, ()), *([self.claims[identity]] if identity in self.claims else ())]

    def _void(self, claim: VoidedClaim) -> Iterator[str]:
        held = self.claims.pop(claim.identity, (0, 0))
        if held != (claim.serial, claim.claimed_at_ms):
            yield f"{self.round_id}: {person(claim.identity)} is voided {claim.serial}, and held {held[0]}"
        self.voided[claim.identity].append(held)
        if claim.barred:
            self.barred.add(claim.identity)

    def _check_open(self, entry: GrantsEntry) -> Iterator[str]:
        opens_at_ms, closes_at_ms = int(self.fields["opens_at_ms"]), int(self.fields["closes_at_ms"])
        # Where the clock was set back a grant has the time of the one before, so its own time is not known.
        if entry.at_ms != self.newest_ms and not opens_at_ms <= entry.at_ms < closes_at_ms:
            yield f"{self.round_id}: granted at {entry.at_ms}, outside {opens_at_ms} to {closes_at_ms}"
        if self.fields["paused"] == "1" or self.fields["closed"] == "1":
            yield f"{self.round_id}: granted while paused or closed"
        if entry.at_ms < self.newest_ms:
            yield f"{self.round_id}: claimed_at goes back from {self.newest_ms} to {entry.at_ms}"


def replay_logs(evidence: Evidence, replayed: dict[str, ReplayedRound]) -> Iterator[str]:
    """Fill `replayed` from the logs; yields a sentence for each fault of a log or of the claims."""
    for round_id, log in evidence.logs.items():
        replay = replayed[round_id] = ReplayedRound(round_id)
        for entry in log:
            yield from replay.read(entry)
        held = {identity: (claim.serial, claim.claimed_at_ms) for identity, claim in evidence.held[round_id]}
        if held != replay.claims:
            yield f"{round_id}: the claims are not those of the log"
