"""The independent recount: the export of the round against what the people were told, one by one.

It trusts neither counters nor claimd's own audit. Everything is plain arrays, so that it can be tried on forged
inputs; 1.5 million claims take a few seconds and some hundred megabytes. Each field of `Recount` that is not a
total counts violations of one promise, and is 0 in a round that kept it.
"""

from array import array
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from claimd.domain.claims import IDENTITY_BYTES, claim_id_prefix
from claimd.domain.times import from_rfc3339
from loadtest.answers import UNKNOWN, Told, is_told
from loadtest.credentials import IDENTITY, IDENTITY_END, Identities
from loadtest.records import Rows

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_TOTALS: Final = frozenset({"exported", "told_granted", "told_replayed", "unknown"})
_instant = lru_cache(maxsize=8192)(from_rfc3339)


@dataclass(frozen=True, slots=True)
class Export:
    """The claims of a round as exported, in the export's order. `malformed` counts lines that are not a claim of it."""

    serials: Ints
    identities: Identities
    claimed_at_ms: Ints
    malformed: int = 0

    def __len__(self) -> int:
        return len(self.serials)


@dataclass(frozen=True, slots=True)
class Recount:
    """Totals first; then violations, each with the promise it breaks."""

    exported: int
    """Lines of the export."""
    told_granted: int
    """People who were told 201."""
    told_replayed: int
    """Answers of 200."""
    unknown: int
    """Exported claims that nobody was told of, but whose person had an answer that failed: nobody can know."""
    malformed: int
    """Lines that are not a claim of this round."""
    serials_missing: int
    """Gaps in 1 … exported."""
    serials_repeated: int
    """Serials given out more than once."""
    identities_repeated: int
    """Identities with more than one claim."""
    oversold: int
    """Claims beyond the pool."""
    told_but_not_exported: int
    """Claims somebody was told of that are not in the export."""
    told_anothers: int
    """Claims that the export gives to another identity than the one told."""
    told_another_time: int
    """Claims whose time in the export is not the one told."""
    exported_but_untold: int
    """Claims in the export that nobody was told of, and nobody's answer failed."""
    strangers: int
    """Claims of identities that are not in the crowd."""
    replays_disagree: int
    """People who were told more than one serial."""
    granted_twice: int
    """People who were told 201 more than once."""
    never_granted: int
    """People told 200 without anyone being told 201, though none of their answers failed."""
    refused_and_granted: int
    """People who were told both "sold out" and that they hold a claim."""
    sold_out_too_early: int
    """Answers of "sold out" that arrived before the last grant was made."""
    audit_disagrees: int
    """Figures of claimd's own audit that differ from the recount."""

    @property
    def ok(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations()

    def violations(self) -> dict[str, int]:
        """What was broken, and how often."""
        return {
            field.name: count
            for field in fields(self)
            if field.name not in _TOTALS and (count := getattr(self, field.name))
        }

    def as_dict(self) -> dict[str, Any]:
        """For the report."""
        return {"ok": self.ok, **asdict(self)}


def read_export(pieces: Iterable[bytes], round_id: str) -> Export:
    """An NDJSON export, in pieces of any size. Never raises for what a line holds."""
    prefix = f"{claim_id_prefix(round_id)}-"
    serials, instants, packed, malformed = array("q"), array("q"), bytearray(), 0
    for line in _lines(pieces):
        try:
            claim = orjson.loads(line)
            serial, identity = claim["serial"], bytes.fromhex(claim["identity"])
            instant = _instant(claim["claimed_at"])
            if type(serial) is not int or len(identity) != IDENTITY_BYTES or claim["id"] != f"{prefix}{serial}":
                raise ValueError
        except (ValueError, KeyError, TypeError):
            malformed += 1
            continue
        serials.append(serial)
        instants.append(instant)
        packed += identity + IDENTITY_END
    return Export(
        np.array(serials, np.int64), np.frombuffer(bytes(packed), IDENTITY), np.array(instants, np.int64), malformed
    )


def _lines(pieces: Iterable[bytes]) -> Iterable[bytes]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    if rest:
        yield rest


def recount(
    export: Export,
    rows: Rows,
    identities: Identities,
    pool: int,
    audit: dict[str, Any],
    server_ms_at_zero: float,
    clock_error_ms: float,
) -> Recount:
    """Hold the export against the rows.

    `identities[p]` is person p's digest; rows of bad passes have higher numbers. `server_ms_at_zero` is the server's
    clock at offset 0 of the rows, known to within `clock_error_ms`.
    """
    told, person = rows["told"], rows["person"]
    granted, replayed = told == Told.GRANTED, told == Told.REPLAYED
    holding = rows[granted | replayed]
    people = len(identities)
    at = _find(export.serials, holding["serial"])
    found = at >= 0
    there = holding[found]
    anothers = export.identities[at[found]] != identities[there["person"]]
    another_time = export.claimed_at_ms[at[found]] != there["claimed_at_ms"]
    owners = _find(identities, export.identities)
    told_of = np.zeros(len(export), bool)
    told_of[at[found][~anothers]] = True
    untold_owners = owners[~told_of]
    in_doubt = np.zeros(people + 1, bool)
    in_doubt[person[is_told(told, UNKNOWN) & (person < people)]] = True
    unknown = in_doubt[np.where(untold_owners >= 0, untold_owners, people)]
    per_person = _PerPerson(rows, people)
    return Recount(
        exported=len(export),
        told_granted=int(np.count_nonzero(granted)),
        told_replayed=int(np.count_nonzero(replayed)),
        unknown=int(np.count_nonzero(unknown)),
        malformed=export.malformed,
        serials_missing=_missing(export.serials),
        serials_repeated=len(export) - len(np.unique(export.serials)),
        identities_repeated=len(export) - len(np.unique(export.identities)),
        oversold=max(0, len(export) - pool),
        told_but_not_exported=int(np.count_nonzero(~found)),
        told_anothers=int(np.count_nonzero(anothers)),
        told_another_time=int(np.count_nonzero(another_time)),
        exported_but_untold=int(np.count_nonzero(~unknown)),
        strangers=int(np.count_nonzero(owners < 0)),
        replays_disagree=per_person.disagreements(),
        granted_twice=int(np.count_nonzero(per_person.grants > 1)),
        never_granted=int(np.count_nonzero((per_person.replays > 0) & (per_person.grants == 0) & ~in_doubt[:people])),
        refused_and_granted=int(
            np.count_nonzero((per_person.sold_outs > 0) & (per_person.grants + per_person.replays > 0))
        ),
        sold_out_too_early=_too_early(export, rows, server_ms_at_zero, clock_error_ms),
        audit_disagrees=_audit_disagreements(audit, export, pool),
    )


class _PerPerson:
    """How often each person was told what."""

    def __init__(self, rows: Rows, people: int) -> None:
        rows = rows[rows["person"] < people]
        told, person = rows["told"], rows["person"]
        self.grants = np.bincount(person[told == Told.GRANTED], minlength=people)
        self.replays = np.bincount(person[told == Told.REPLAYED], minlength=people)
        self.sold_outs = np.bincount(person[told == Told.SOLD_OUT], minlength=people)
        self._holding = rows[(told == Told.GRANTED) | (told == Told.REPLAYED)]

    def disagreements(self) -> int:
        """People who were told more than one serial."""
        order = np.lexsort((self._holding["serial"], self._holding["person"]))
        person, serial = self._holding["person"][order], self._holding["serial"][order]
        differs = (person[1:] == person[:-1]) & (serial[1:] != serial[:-1])
        return len(np.unique(person[1:][differs]))


def _find(haystack: npt.NDArray[Any], needles: npt.NDArray[Any]) -> Ints:
    """The index in `haystack` of each needle, -1 where there is none."""
    if not len(haystack):
        return np.full(len(needles), -1, np.int64)
    order = np.argsort(haystack, kind="stable")
    spot = np.minimum(np.searchsorted(haystack, needles, sorter=order), len(haystack) - 1)
    at = order[spot]
    return np.where(haystack[at] == needles, at, -1)


def _missing(serials: Ints) -> int:
    """How many of 1 … len(serials) are not there."""
    inside = serials[(serials >= 1) & (serials <= len(serials))]
    return len(serials) - len(np.unique(inside))


def _too_early(export: Export, rows: Rows, server_ms_at_zero: float, clock_error_ms: float) -> int:
    if not len(export):
        return 0
    refused = rows[rows["told"] == Told.SOLD_OUT]
    heard_ms = server_ms_at_zero + refused["done"] * 1000
    return int(np.count_nonzero(heard_ms < export.claimed_at_ms.max() - clock_error_ms))


def _audit_disagreements(audit: dict[str, Any], export: Export, pool: int) -> int:
    expected = {
        "total": pool,
        "issued": len(export),
        "remaining": pool - len(export),
        "claims": len(export),
        "identities": len(np.unique(export.identities)),
    }
    return sum(audit.get(name) != value for name, value in expected.items())
