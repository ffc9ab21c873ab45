"""Compares the answers of all loads with the export: by the history checker, and by claimd's own audit."""

from typing import Final

import numpy as np

from loadtest.client.answers import Answer
from loadtest.history.checker import check
from loadtest.history.export import read_export
from loadtest.history.operations import Operations
from loadtest.overload.claimants import Claimants
from loadtest.overload.measuring import LoadResult
from loadtest.target.console_client import ConsoleClient

# More than all loads can claim.
STOCK: Final = 2**31


def differences(console: ConsoleClient, round_id: str, claimants: Claimants, loads: list[LoadResult]) -> list[str]:
    """Return a sentence for each kind of violation. Raises ApiError."""
    export, audit = read_export(console.export(round_id), round_id), console.audit(round_id)
    recount = check(export, _operations(claimants, loads), pool=STOCK, audit=audit, gateways_repeat=True)
    found = [f"{count:,} {name.replace('_', ' ')}" for name, count in recount.violations().items()]
    return found if audit["ok"] else [f"the audit is not clean: {audit}", *found]


def _operations(claimants: Claimants, loads: list[LoadResult]) -> Operations:
    rows = [each.rows for each in loads]
    numbers = np.concatenate([each.first_claimant + np.arange(len(each.rows)) for each in loads])
    return Operations.of_columns(
        np.concatenate([each.began_at + each.sent for each in rows]),
        np.concatenate(
            [np.where(each.answer == Answer.DROPPED, np.nan, each.began_at + each.answered) for each in rows]
        ),
        claimants.identities(numbers),
        np.concatenate([each.answer for each in rows]),
        np.concatenate([each.serials for each in rows]),
        np.concatenate([each.claimed_at_ms for each in rows]),
    )
