"""What the handlers of the console are given."""

from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from claimd.store.protocol import Store
from claimd.store.saved_counts import CountsStore


class ConsoleStore(Store, Protocol):
    """Rounds and claims, and the counts of the gateways."""

    @property
    def counts(self) -> CountsStore:
        """What gateways have counted."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """One for each process."""

    store: ConsoleStore
    admin_token: str


CONTEXT = web.AppKey("context", Context)
