"""The audit of a round: reads all claims and the whole log and checks that the promises were kept.

It may run in the middle of a drop: it counts the claims up to the serial that was the newest when it began, and looks
for serials beyond the newest when it ended. Every serial belongs to a claim that is held, or to one that was voided.
Memory: one bit a serial, 190 KB for 1,500,000 claims, and the voids.
"""

from dataclasses import dataclass, field, replace
from hashlib import blake2b

from claimd.domain.claims import VoidedClaim
from claimd.domain.log import GrantsEntry, VoidEntry
from claimd.domain.rounds import Round
from claimd.store.ports import LogReader

_SUM_MODULUS = 1 << 128


@dataclass(frozen=True, slots=True)
class Audit:
    """The result of an audit. `claims` and `identities` are counted from the claims, `issued` by the round's counters.

    `oversold` is how many claims exceed the total, `duplicates` how many serials or identities were given twice,
    `voided` how many serials belong to claims that were taken back.
    """

    total: int
    issued: int
    remaining: int
    claims: int
    identities: int
    serials_contiguous: bool
    oversold: int
    duplicates: int
    log_matches: bool
    voided: int = 0

    @property
    def ok(self) -> bool:
        """Whether every promise was kept."""
        kept = self.serials_contiguous and self.log_matches and not self.oversold and not self.duplicates
        return kept and self.claims == self.identities == self.issued


@dataclass(slots=True)
class _Tally:
    """What one of the two records, claims or log, contains.

    `seen` has a bit for each serial up to `upto`, `grants` their number, `repeated` those that came twice, `stray` the
    number of serials below 1, and `checksum` a sum over all grants that does not depend on their order.
    """

    upto: int
    seen: bytearray = field(init=False)
    grants: int = 0
    repeated: set[int] = field(default_factory=set)
    stray: int = 0
    newest: int = 0
    checksum: int = 0

    def __post_init__(self) -> None:
        self.seen = bytearray(self.upto // 8 + 1)

    def add(self, identity: bytes, serial: int, claimed_at_ms: int) -> None:
        self.newest = max(self.newest, serial)
        if not 1 <= serial <= self.upto:
            # A serial above `upto` was granted after the audit began; one below 1 must not exist.
            self.stray += serial < 1
            return
        byte, bit = serial >> 3, 1 << (serial & 7)
        if self.seen[byte] & bit:
            self.repeated.add(serial)
            return
        self.seen[byte] |= bit
        self.grants += 1
        # A collision would take 2^64 tries against BLAKE2b; a sum lets both records be read in any order.
        line = b"%s:%d:%d" % (identity, serial, claimed_at_ms)
        self.checksum = (self.checksum + int.from_bytes(blake2b(line, digest_size=16).digest())) % _SUM_MODULUS

    def add_voided(self, void: VoidedClaim) -> None:
        """Add a claim that was voided, unless it was read before that."""
        if 1 <= void.serial <= self.upto and not self.seen[void.serial >> 3] & 1 << (void.serial & 7):
            self.add(void.identity, void.serial, void.claimed_at_ms)


async def audit_round(records: LogReader, round_id: str) -> Audit | None:
    """Audit a round; None where it does not exist. Raises StoreUnavailable, or ArchiveError for an archive."""
    state = (await records.round(round_id)).round
    if state is None:
        return None
    claimed = await _tally_claims(records, state)
    # After the claims: what is voided between the two readings is in one of them at least.
    voids = {void.serial: void async for void in records.voids(round_id)}
    for void in voids.values():
        claimed.add_voided(void)
    logged, logged_voids = await _tally_log(records, state)
    meanwhile = (await records.round(round_id)).round or replace(state, issued=0)
    suspects = await _holders(records, round_id, claimed, meanwhile.issued)
    shared = sum(len(suspects[serial]) - 1 for serial in claimed.repeated)
    # Read once more: claims may have been granted while the suspects were looked up.
    last = (await records.round(round_id)).round
    issued_at_last = last.issued if last else 0
    beyond = sum(len(holders) for serial, holders in suspects.items() if serial > issued_at_last)
    voided = sum(1 <= serial <= state.issued for serial in voids)
    claims = claimed.grants - voided + shared + beyond
    # What the round's own counter of voids has more than there are, or fewer.
    miscounted = len(voids) - min(max(len(voids), state.voided), meanwhile.voided)
    issued = state.issued - voided + miscounted
    return Audit(
        total=state.definition.total,
        issued=issued,
        remaining=state.definition.total - issued,
        claims=claims,
        identities=claims,
        serials_contiguous=claimed.grants == state.issued and not beyond and not claimed.stray,
        oversold=max(0, claims - state.definition.total),
        duplicates=shared + len(logged.repeated),
        log_matches=(logged.grants, logged.checksum) == (claimed.grants, claimed.checksum)
        and logged.newest <= meanwhile.issued
        and not (logged.repeated or logged.stray)
        and voids.items() <= logged_voids.items()
        and len(logged_voids) <= meanwhile.voided,
        voided=voided,
    )


async def _tally_claims(records: LogReader, state: Round) -> _Tally:
    tally = _Tally(state.issued)
    async for identity, claim in records.claims(state.id):
        tally.add(identity, claim.serial, claim.claimed_at_ms)
    return tally


async def _tally_log(records: LogReader, state: Round) -> tuple[_Tally, dict[int, VoidedClaim]]:
    tally, voids = _Tally(state.issued), {}
    async for entry in records.log(state.id):
        if isinstance(entry, GrantsEntry):
            for offset, identity in enumerate(entry.split()):
                tally.add(identity, entry.first_serial + offset, entry.at_ms)
        elif isinstance(entry, VoidEntry):
            serial = entry.claim.serial
            if serial in voids:
                tally.repeated.add(serial)
            voids[serial] = entry.claim
    return tally, voids


async def _holders(records: LogReader, round_id: str, claimed: _Tally, issued: int) -> dict[int, set[bytes]]:
    """The identities that hold each suspicious serial: one that was read twice, or one above `issued`.

    A scan may return a claim twice, so a serial that was read twice may have one holder.
    """
    holders: dict[int, set[bytes]] = {serial: set() for serial in claimed.repeated}
    if claimed.repeated or claimed.newest > issued:
        async for identity, claim in records.claims(round_id):
            if claim.serial > issued or claim.serial in holders:
                holders.setdefault(claim.serial, set()).add(identity)
    return holders
