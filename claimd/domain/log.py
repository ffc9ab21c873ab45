"""The entries of a round's log, in order. Each is written by the same script call as the change that it records."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from claimd.domain.claims import IDENTITY_BYTES, VoidedClaim


@dataclass(frozen=True, slots=True)
class GrantsEntry:
    """One batch of grants: the serials `first_serial`, `first_serial + 1`, … went to `identities`, packed, in order."""

    first_serial: int
    at_ms: int
    identities: bytes

    def __len__(self) -> int:
        return len(self.identities) // IDENTITY_BYTES

    def split(self) -> list[bytes]:
        """The identity digests, each of IDENTITY_BYTES."""
        packed = self.identities
        return [packed[start : start + IDENTITY_BYTES] for start in range(0, len(packed), IDENTITY_BYTES)]


class EditAction(StrEnum):
    """The kind of an operator's change to a round."""

    CREATE = "create"
    EDIT = "edit"
    PAUSE = "pause"
    RESUME = "resume"
    CLOSE = "close"
    REVOKE_PASSES = "revoke_passes"
    DELETE = "delete"


# The action of a void, which is no edit, in a round's log.
VOID = "void"

# The console has one operator: the holder of the admin token.
ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class EditEntry:
    """One creation, edit or deletion of a round by the operator `who`.

    `version` is that of the round afterwards, `fields` maps the changed fields to their new values as strings. `action`
    is empty in entries of the first version of claimd, which did not record it.
    """

    version: int
    at_ms: int
    reason: str
    fields: dict[str, Any]
    action: str = ""
    who: str = ADMIN


@dataclass(frozen=True, slots=True)
class VoidEntry:
    """One claim taken back by the operator `who`, at `claim.voided_at_ms`; `version` is the round's, unchanged."""

    claim: VoidedClaim
    version: int
    reason: str
    who: str = ADMIN


LogEntry = GrantsEntry | EditEntry | VoidEntry
