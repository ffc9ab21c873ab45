"""What the handlers of the console are given."""

from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from claimd.metrics.reporter import CountsStore
from claimd.store.protocol import Store


class ConsoleStore(Store, CountsStore, Protocol):
    """Rounds and claims, and the counts of the gateways."""


@dataclass(frozen=True, slots=True)
class Context:
    """One for each process."""

    store: ConsoleStore
    admin_token: str


CONTEXT = web.AppKey("context", Context)
