"""The entries of a round's log: what happened, in order. It is written in the same script call as what it tells."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from claimd.domain.claims import IDENTITY_BYTES


@dataclass(frozen=True, slots=True)
class GrantsEntry:
    """One batch of grants: the serials `first_serial`, `first_serial + 1`, … went to `identities`, packed, in order."""

    first_serial: int
    at_ms: int
    identities: bytes

    def __len__(self) -> int:
        return len(self.identities) // IDENTITY_BYTES

    def split(self) -> list[bytes]:
        """The identity digests, one by one."""
        packed = self.identities
        return [packed[start : start + IDENTITY_BYTES] for start in range(0, len(packed), IDENTITY_BYTES)]


class EditAction(StrEnum):
    """What an operator did to a round."""

    CREATE = "create"
    EDIT = "edit"
    PAUSE = "pause"
    RESUME = "resume"
    CLOSE = "close"
    REVOKE_PASSES = "revoke_passes"
    DELETE = "delete"


# The console knows one operator: the bearer of the admin token.
ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class EditEntry:
    """One creation, edit or deletion of a round: `fields` are the changed fields as strings, `who` the operator.

    `action` is empty in entries of the first version, which did not record it.
    """

    version: int
    at_ms: int
    reason: str
    fields: dict[str, Any]
    action: str = ""
    who: str = ADMIN


LogEntry = GrantsEntry | EditEntry
