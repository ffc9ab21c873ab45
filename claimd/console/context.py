"""What the handlers of the console are given."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aiohttp import web

from claimd.store.ports import Store
from claimd.store.saved_counts import CountsStore


class ConsoleStore(Store, Protocol):
    """Rounds and claims, and the counts of the gateways."""

    @property
    def counts(self) -> CountsStore:
        """What gateways have counted."""
        ...

    async def rewrite_file(self) -> None:
        """Have the server write its append-only file anew, in the background, with what it holds now alone."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """One for each process. `embedded` is whether the server is the one that `claimd up` runs."""

    store: ConsoleStore
    admin_token: str
    archive_dir: Path
    embedded: bool = False


CONTEXT = web.AppKey("context", Context)
