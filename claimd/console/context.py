"""The objects that the console's handlers share."""

from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from claimd.store.ports import ClaimStore, ClaimVoider, CountsStore, FileRewriter, LogReader, Readiness, RoundStore


@dataclass(frozen=True, slots=True)
class Context:
    """One for each process. `embedded` is whether the server is the one that `claimd up` runs.

    `identity_key` turns a person's identifier into the digest that the server knows; None without the secret.
    """

    rounds: RoundStore
    claims: ClaimStore
    voids: ClaimVoider
    log_reader: LogReader
    counts: CountsStore
    readiness: Readiness
    file_rewriter: FileRewriter
    admin_token: str
    archive_dir: Path
    identity_key: bytes | None = None
    embedded: bool = False


CONTEXT = web.AppKey("context", Context)
