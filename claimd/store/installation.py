"""The settings that must be the same on every gateway of one server, or one person gets two packs unseen by any audit.

The first gateway to start writes them to the server (`claimd:1:installation`); every other one is compared with them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from claimd.store.errors import StoreRejected

_FINGERPRINT = "fingerprint"
_IDENTITY = "identity_claim"


class InstallationDiffers(StoreRejected):
    """This process must not decide claims on this server; the message names the setting and the remedy."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The fingerprint of the secret (`Keys.fingerprint`), and the bearer token's claim that identifies a person."""

    fingerprint: str
    identity_claim: str = "sub"

    def fields(self) -> dict[str, str]:
        """The fields that the server keeps."""
        return {_FINGERPRINT: self.fingerprint, _IDENTITY: self.identity_claim}

    def difference(self, kept: Mapping[str, str]) -> str:
        """A sentence about the first difference from the fields that the server keeps; empty where there is none."""
        theirs = kept.get(_FINGERPRINT, self.fingerprint)
        if theirs != self.fingerprint:
            return (
                f"CLAIMD_SECRET is another one than this server's claims were made with (fingerprint "
                f"{self.fingerprint}, there {theirs}): people who hold a claim could claim again. {ADVICE}"
            )
        claim = kept.get(_IDENTITY, self.identity_claim)
        if claim != self.identity_claim:
            return (
                f"CLAIMD_JWT_IDENTITY is {self.identity_claim!r}, but this server's claims were made with {claim!r}: "
                f"people who hold a claim could claim again. Set CLAIMD_JWT_IDENTITY={claim}"
            )
        return ""


ADVICE = (
    "Set CLAIMD_SECRET, or CLAIMD_SECRET_FILE, to the secret of the claimd that was started on it first; `claimd up` "
    "keeps its own in the file `secret` of its data directory"
)


def kept_fingerprint(kept: Mapping[str, str]) -> str | None:
    """The fingerprint of the secret that the server's claims were made with; None before the first gateway started."""
    return kept.get(_FINGERPRINT)
