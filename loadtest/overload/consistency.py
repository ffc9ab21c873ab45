"""Whether what people were told is what was kept: the history checker's word, and claimd's own audit."""

from typing import Final

import numpy as np

from loadtest.client.answers import Answer
from loadtest.history.checker import check
from loadtest.history.export import read_export
from loadtest.history.operations import Operations
from loadtest.overload.claimants import People
from loadtest.overload.measuring import Asked
from loadtest.target.console_client import ConsoleClient

# More than anybody can ask for.
STOCK: Final = 2**31


def differences(books: ConsoleClient, round_id: str, people: People, asked: list[Asked]) -> list[str]:
    """A sentence for each promise that was not kept. Raises api.ApiError."""
    export, audit = read_export(books.export(round_id), round_id), books.audit(round_id)
    recount = check(export, _operations(people, asked), pool=STOCK, audit=audit, gateways_repeat=True)
    found = [f"{count:,} {name.replace('_', ' ')}" for name, count in recount.violations().items()]
    return found if audit["ok"] else [f"the audit is not clean: {audit}", *found]


def _operations(people: People, asked: list[Asked]) -> Operations:
    rows = [each.answers for each in asked]
    persons = np.concatenate([each.first_person + np.arange(len(each.answers)) for each in asked])
    return Operations.of_columns(
        np.concatenate([each.began_at + each.sent for each in rows]),
        np.concatenate(
            [np.where(each.answer == Answer.DROPPED, np.nan, each.began_at + each.answered) for each in rows]
        ),
        people.identities(persons),
        np.concatenate([each.answer for each in rows]),
        np.concatenate([each.serials for each in rows]),
        np.concatenate([each.claimed_at_ms for each in rows]),
    )
