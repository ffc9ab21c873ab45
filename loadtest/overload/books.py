"""Whether what people were told is what was kept: the export of the round, claimd's own audit, and each 201."""

import numpy as np

from loadtest.api import Console
from loadtest.history.export import read_export
from loadtest.overload.flood import GRANTED, LOST, UNAVAILABLE
from loadtest.overload.measuring import Asked
from loadtest.overload.people import People


def differences(books: Console, round_id: str, people: People, asked: list[Asked]) -> list[str]:
    """A sentence for each thing that is not as it should be. Raises api.ApiError."""
    export = read_export(books.claims(round_id), round_id)
    audit, issued = books.audit(round_id), books.round(round_id)["issued"]
    persons = np.concatenate([each.first_person + np.flatnonzero(each.answers.told == GRANTED) for each in asked])
    serials = np.concatenate([each.answers.serials[each.answers.told == GRANTED] for each in asked])
    unknown = sum(int(np.count_nonzero(np.isin(each.answers.told, (LOST, UNAVAILABLE)))) for each in asked)
    held = dict(zip(export.serials.tolist(), export.identities.tolist(), strict=True))
    told = people.identities(persons).tolist()
    strangers = sum(held.get(serial) != person for serial, person in zip(serials.tolist(), told, strict=True))
    untold = len(export) - len(serials)
    found = {
        f"the audit is not clean: {audit}": not audit["ok"],
        f"{strangers:,} of those told 201 are not in the export with that serial": strangers,
        f"{len(serials) - len(set(serials.tolist())):,} serials were told twice": len(set(serials.tolist()))
        != len(serials),
        f"{export.malformed:,} lines of the export are no claims": export.malformed,
        f"{issued:,} packs were issued, {len(export):,} claims are in the export": issued != len(export),
        # A claim whose answer was lost may have been granted.
        f"{len(serials):,} people were told 201, {len(export):,} claims were granted": not 0 <= untold <= unknown,
    }
    return [sentence for sentence, wrong in found.items() if wrong]
