"""What the checker counted: totals, and one count for each way of breaking a promise, 0 in a round that kept it.

The names are those of `report.json`. What could not be looked at, for want of a log, is None and left out there.
"""

from dataclasses import asdict, dataclass, fields
from typing import Any, Final

_TOTALS: Final = frozenset({"exported", "told_granted", "told_replayed", "unknown", "unsettled", "not_understood"})


@dataclass(frozen=True, slots=True)
class Recount:
    """Totals first; then violations, each with the promise it breaks; at last those that take a log to see."""

    exported: int
    """Lines of the export."""
    told_granted: int
    """People who were told 201."""
    told_replayed: int
    """Answers of 200."""
    unknown: int
    """Exported claims that nobody was told of, but whose person had an answer that failed: nobody can know."""
    unsettled: int
    """People with an answer that failed who asked nothing later that was answered: only the export knows."""
    not_understood: int
    """Answers that are none of the contract's."""
    malformed: int
    """Lines that are not a claim of this round."""
    serials_missing: int
    """Gaps in 1 … exported."""
    serials_repeated: int
    """Serials given out more than once."""
    identities_repeated: int
    """Identities with more than one claim."""
    oversold: int
    """Claims beyond the pool; of a log, beyond the total in force when they were granted."""
    time_goes_back: int
    """Claims granted earlier than the one with the serial before."""
    told_but_not_exported: int
    """Claims somebody was told of that are not in the export."""
    told_anothers: int
    """Claims that the export gives to another identity than the one told."""
    told_another_time: int
    """Claims whose time in the export is not the one told."""
    exported_but_untold: int
    """Claims in the export that nobody was told of, and nobody's answer failed: all were refused, or never asked."""
    strangers: int
    """Claims of identities that are not in the crowd: nobody asked for them."""
    replays_disagree: int
    """People who were told more than one serial, or more than one time."""
    granted_twice: int
    """People who were told 201 more than once."""
    never_granted: int | None
    """People told 200 without anyone being told 201, though none of their answers failed.

    None where gateways may repeat a call whose reply was lost: then a 200 can be the first answer there is.
    """
    refused_and_granted: int | None
    """People who were told "sold out" and hold a claim. None where the total rose: then it may well be."""
    refused_after_told: int
    """People who were refused when they asked again after they had been told of their claim."""
    out_of_order: int
    """Claims told of before one with their serial or a lower can have been granted: in no order they fit real time."""
    sold_out_too_early: int
    """Answers of "sold out" that came when fewer claims can have been granted than there ever was stock."""
    audit_disagrees: int
    """Figures of claimd's own audit that differ from the recount."""
    log_malformed: int | None = None
    """Entries of the log that cannot be read."""
    log_disagrees: int | None = None
    """Claims of the export that are not in the log like that, and grants of the log that are not in the export."""
    log_serials_broken: int | None = None
    """Entries of grants that do not go on where the one before ended."""
    versions_broken: int | None = None
    """Edits that are not the next version, counted from 1."""
    total_below_issued: int | None = None
    """Edits after which the total was less than had been granted."""
    granted_before_opening: int | None = None
    """Grants before the opening, or before there was a round."""
    granted_while_closed: int | None = None
    """Grants at or after the closing, or when the round had been closed."""
    granted_while_paused: int | None = None
    """Grants between a pause and the resumption."""
    not_open_untruly: int | None = None
    """Answers of "not open" though no opening ever lay ahead, or, by the server's clock, none did any more."""
    paused_untruly: int | None = None
    """Answers of "paused" though the round never was."""
    closed_untruly: int | None = None
    """Answers of "closed" though nobody closed it and, by the server's clock, its time was not over."""

    @property
    def ok(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations()

    def violations(self) -> dict[str, int]:
        """What was broken, and how often."""
        return {name: count for name, count in asdict(self).items() if name in VIOLATIONS and count}

    def as_dict(self) -> dict[str, Any]:
        """For the report."""
        return {"ok": self.ok, **{name: count for name, count in asdict(self).items() if count is not None}}


VIOLATIONS: Final = tuple(field.name for field in fields(Recount) if field.name not in _TOTALS)
