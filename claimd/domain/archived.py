"""What the server keeps of a round that has left it for a file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Archived:
    """The stub of an archived round: its id is never used again, and nothing in it changes any more.

    `file` is where the console wrote the archive, `sha256` the digest of that file in hex, `at_ms` when the round left.
    """

    id: str
    title: str
    total: int
    issued: int
    version: int
    file: str
    sha256: str
    at_ms: int
    who: str
    reason: str
