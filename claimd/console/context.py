"""The objects that the console's handlers share."""

from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from claimd.store.ports import CountsStore, FileRewriter, LogReader, Readiness, RoundStore


@dataclass(frozen=True, slots=True)
class Context:
    """One for each process. `embedded` is whether the server is the one that `claimd up` runs."""

    rounds: RoundStore
    log_reader: LogReader
    counts: CountsStore
    readiness: Readiness
    file_rewriter: FileRewriter
    admin_token: str
    archive_dir: Path
    embedded: bool = False


CONTEXT = web.AppKey("context", Context)
