"""What the server keeps of a round that was archived to a file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Archived:
    """The stub of an archived round. It never changes, and its id is never used again.

    `file` is the path that the console wrote the archive to, `sha256` the digest of that file in hex, `at_ms` the time
    of archiving in milliseconds since 1970, `who` and `reason` the operator and the reason that was given.
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
