"""The entries of a round's log: what happened, in order. It is written in the same script call as what it tells."""

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class EditEntry:
    """A round was created or edited: the fields as they are stored now, and the operator's reason."""

    version: int
    at_ms: int
    reason: str
    fields: dict[str, Any]


LogEntry = GrantsEntry | EditEntry
