"""The content of a verified bearer token: the person, as its digest, and the claims of the token."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from claimd.identity.compact_tokens import read_object


@dataclass(frozen=True, slots=True)
class Verified:
    """A verified token: `subject` is the identity that it names, byte for byte, `identity` its digest of 16 bytes.

    `payload` is the JSON of its claims.
    """

    subject: str
    identity: bytes
    payload: bytes

    @property
    def token_claims(self) -> Mapping[str, Any]:
        """The claims of the token, parsed at each access: what is remembered of a token is bytes, bounded in size."""
        return read_object(self.payload)
