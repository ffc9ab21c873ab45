"""The books of a round against themselves: the export, the log and the audit, whoever was told what."""

from typing import Any

import numpy as np

from loadtest.history.columns import count, find
from loadtest.history.export import Export
from loadtest.history.timeline import Granted


def export_alone(export: Export, stock: int | None) -> dict[str, int]:
    """Serials, identities, times and size of the export. `stock` is what there was in the end, None if unknown."""
    serials = export.serials
    inside = serials[(serials >= 1) & (serials <= len(serials))]
    in_order = export.claimed_at_ms[np.argsort(serials, kind="stable")]
    return {
        "malformed": export.malformed,
        "serials_missing": len(serials) - len(np.unique(inside)),
        "serials_repeated": len(serials) - len(np.unique(serials)),
        "identities_repeated": len(export) - len(np.unique(export.identities)),
        "oversold": 0 if stock is None else max(0, len(export) - stock),
        "time_goes_back": count(in_order[1:] < in_order[:-1]),
    }


def log_disagreements(export: Export, granted: Granted) -> int:
    """Claims of either that the other does not have, or has otherwise."""
    at = find(granted.serials, export.serials)
    there = at >= 0
    alike = (granted.identities[at[there]] == export.identities[there]) & (
        granted.at_ms[at[there]] == export.claimed_at_ms[there]
    )
    return count(~there) + count(~alike) + count(find(export.serials, granted.serials) < 0)


def audit_disagreements(audit: dict[str, Any], export: Export, stock: int | None) -> int:
    """Figures of claimd's audit that are not what the export says."""
    expected = {"issued": len(export), "claims": len(export), "identities": len(np.unique(export.identities))}
    if stock is not None:
        expected |= {"total": stock, "remaining": stock - len(export)}
    return sum(audit.get(name) != value for name, value in expected.items())
