"""The server's own records of a round compared with each other: the export, the log and the audit."""

from typing import Any

import numpy as np

from loadtest.history.columns import count_true, find_rows
from loadtest.history.export import Export
from loadtest.history.timeline import Grants


def export_violations(export: Export, stock: int | None) -> dict[str, int]:
    """Count what is wrong with the export by itself. `stock` is the round's final total, None where it is unknown."""
    serials = export.serials
    in_range = serials[(serials >= 1) & (serials <= len(serials))]
    at_ms_by_serial = export.claimed_at_ms[np.argsort(serials, kind="stable")]
    return {
        "malformed": export.malformed,
        "serials_missing": len(serials) - len(np.unique(in_range)),
        "serials_repeated": len(serials) - len(np.unique(serials)),
        "identities_repeated": len(export) - len(np.unique(export.identities)),
        "oversold": 0 if stock is None else max(0, len(export) - stock),
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


def audit_disagreements(audit: dict[str, Any], export: Export, stock: int | None) -> int:
    """Count the figures of claimd's audit that differ from the export."""
    expected = {"issued": len(export), "claims": len(export), "identities": len(np.unique(export.identities))}
    if stock is not None:
        expected |= {"total": stock, "remaining": stock - len(export)}
    return sum(audit.get(name) != value for name, value in expected.items())
