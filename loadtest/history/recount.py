"""The checker's counts: totals, and one count for each kind of violation, all 0 in a round that kept its promises.

The names are those of `report.json`. A count that needs a log, or whole visits, is None without, and is left out of the
report.
"""

from dataclasses import asdict, dataclass, fields
from typing import Any, Final

_TOTALS: Final = frozenset({
    "exported", "told_granted", "told_replayed", "unknown", "unsettled", "not_understood", "looked_up",
    "readings", "passes",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recount:
    """Totals first; then violations; last those that only a log shows, and the counts of whole visits."""

    exported: int
    """Claims in the export."""
    told_granted: int
    """Answers 201."""
    told_replayed: int
    """Answers 200."""
    unknown: int
    """Exported claims without an answer whose claimant has a request with an unknown outcome: no violation."""
    unsettled: int
    """Claimants with an unknown outcome and no later answer that settles it: only the export shows it."""
    not_understood: int
    """Answers that the API does not define."""
    malformed: int
    """Lines of the export that are not a claim of this round."""
    serials_missing: int
    """Gaps in 1 … exported."""
    serials_repeated: int
    """Claims whose serial another claim has."""
    identities_repeated: int
    """Claims whose identity has another claim."""
    oversold: int
    """Claims beyond the pool; with a log, beyond the total in force when they were granted."""
    time_goes_back: int
    """Claims with an earlier time than the claim with the previous serial."""
    told_but_not_exported: int
    """Answers that returned a claim which is not in the export."""
    told_anothers: int
    """Answers that returned a claim which the export has for another identity."""
    told_another_time: int
    """Answers that returned a claim with another time than in the export."""
    exported_but_untold: int
    """Exported claims without an answer, whose claimant has no unknown outcome either."""
    strangers: int
    """Exported claims of identities that sent no request."""
    replays_disagree: int
    """Claimants whose answers name more than one serial or time."""
    granted_twice: int
    """Claimants that received 201 more than once."""
    never_granted: int | None
    """Claimants that received 200 but no 201, without an unknown outcome.

    None where gateways may repeat a call whose reply was lost: then the first answer can be 200.
    """
    refused_and_granted: int | None
    """Claimants that received `sold_out` and hold a claim. None where the total rose, which allows it."""
    refused_after_told: int
    """Claimants whose request was refused after their claim had been acknowledged."""
    out_of_order: int
    """Claims acknowledged before one of their own or a lower serial can have been granted: no order fits real time."""
    sold_out_too_early: int
    """Answers `sold_out` that arrived when fewer claims than the smallest total can have been granted."""
    audit_disagrees: int
    """Figures of claimd's own audit that differ from the recount."""
    log_malformed: int | None = None
    """Log entries that cannot be read."""
    log_disagrees: int | None = None
    """Claims that only one of export and log has, or that they record differently."""
    log_serials_broken: int | None = None
    """Grant entries that do not continue where the previous one ended."""
    voids_broken: int | None = None
    """Voids of a serial that was not granted before, or was voided before."""
    voids_disagree: int | None = None
    """Claims that only one of export and log has as voided, or that they record differently."""
    versions_broken: int | None = None
    """Edits whose version is not the previous one plus 1, from 1."""
    total_below_issued: int | None = None
    """Edits after which the total was less than the claims granted."""
    granted_before_opening: int | None = None
    """Grants before the opening, or before the round was created."""
    granted_while_closed: int | None = None
    """Grants at or after the closing, or after the round was closed."""
    granted_while_paused: int | None = None
    """Grants between a pause and the resumption."""
    not_open_untruly: int | None = None
    """Answers `not_open` although no opening ever lay ahead or, by the server's clock, none did any longer."""
    paused_untruly: int | None = None
    """Answers `paused` although the round never was paused."""
    closed_untruly: int | None = None
    """Answers `closed` although the round never was closed and, by the server's clock, its window had not ended."""
    looked_up: int | None = None
    """Answers to look-ups of claims: a claim, or `not_claimed`."""
    readings: int | None = None
    """Answers that show the round, or that it is unchanged."""
    passes: int | None = None
    """Answers with a pass."""
    not_claimed_untruly: int | None = None
    """Look-ups that found no claim although it had been granted before they began."""
    issued_went_back: int | None = None
    """Readings with less issued than an earlier reading of the same client, by the server's times."""
    issued_beyond_total: int | None = None
    """Readings with more issued than the total, or a remainder that is not the difference."""
    issued_untrue: int | None = None
    """Readings with more issued than were granted by their time, or fewer than were granted long before it."""
    status_untrue: int | None = None
    """Readings with another opening, or a status that the round did not have then, as open before the opening."""
    passes_of_others: int | None = None
    """Passes that stand for another person than the token that asked for them."""
    passes_too_short: int | None = None
    """Passes that expire before the round ends."""

    @property
    def ok(self) -> bool:
        """Whether there is no violation."""
        return not self.violations()

    def violations(self) -> dict[str, int]:
        """Return the counts of the violations that are not 0, by name."""
        return {name: count for name, count in asdict(self).items() if name in VIOLATIONS and count}

    def as_dict(self) -> dict[str, Any]:
        """Return all counts but those that are None, and `ok`, as the report has them."""
        return {"ok": self.ok, **{name: count for name, count in asdict(self).items() if count is not None}}


VIOLATIONS: Final = tuple(field.name for field in fields(Recount) if field.name not in _TOTALS)
