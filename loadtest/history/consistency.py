"""The server's own records of a round compared with each other: the export, the log and the audit."""

from typing import Any

import numpy as np

from claimd.domain.log import VoidEntry
from loadtest.history.columns import count_true, digest_of, find_rows
from loadtest.history.export import Export
from loadtest.history.log import Log
from loadtest.history.timeline import Grants


def export_violations(export: Export, stock: int | None) -> dict[str, int]:
    """Count what is wrong with the export by itself. `stock` is the round's final total, None where it is unknown."""
    serials, held = export.serials, ~export.voided
    in_range = serials[(serials >= 1) & (serials <= len(serials))]
    at_ms_by_serial = export.claimed_at_ms[np.argsort(serials, kind="stable")]
    return {
        "malformed": export.malformed,
        "serials_missing": len(serials) - len(np.unique(in_range)),
        "serials_repeated": len(serials) - len(np.unique(serials)),
        "identities_repeated": count_true(held) - len(np.unique(export.identities[held])),
        "oversold": 0 if stock is None else max(0, count_true(held) - stock),
        "time_goes_back": count_true(at_ms_by_serial[1:] < at_ms_by_serial[:-1]),
    }


def log_disagreements(export: Export, grants: Grants) -> int:
    """Count the claims that only one of export and log has, or that they record differently."""
    rows = find_rows(grants.serials, export.serials)
    logged = rows >= 0
    equal = (grants.identities[rows[logged]] == export.identities[logged]) & (
        grants.at_ms[rows[logged]] == export.claimed_at_ms[logged]
    )
    return count_true(~logged) + count_true(~equal) + count_true(find_rows(export.serials, grants.serials) < 0)


def void_disagreements(export: Export, log: Log) -> int:
    """Count the voided claims that only one of export and log has, or that they record differently."""
    voids = [entry.claim for entry in log.entries if isinstance(entry, VoidEntry)]
    logged = {(void.serial, void.claimed_at_ms, void.voided_at_ms, void.identity) for void in voids}
    rows = np.flatnonzero(export.voided)
    at_ms = np.zeros(0, np.int64) if export.voided_at_ms is None else export.voided_at_ms
    exported = {
        (int(export.serials[row]), int(export.claimed_at_ms[row]), int(at_ms[row]), digest_of(export.identities[row]))
        for row in rows
    }
    return len(logged ^ exported)


def audit_disagreements(audit: dict[str, Any], export: Export, stock: int | None) -> int:
    """Count the figures of claimd's audit that differ from the export."""
    held = ~export.voided
    number = count_true(held)
    expected = {"issued": number, "claims": number, "identities": len(np.unique(export.identities[held]))}
    if stock is not None:
        expected |= {"total": stock, "remaining": stock - number}
    return sum(audit.get(name) != value for name, value in expected.items())
