"""The model behind the same attributes as the real store, so that a test can use either."""

from typing import NamedTuple

from claimd.store.memory import MemoryStore
from claimd.store.ports import ClaimStore, ClaimVoider, LogReader, Readiness, RoundStore
from claimd.store.redis.store import RedisStore
from tests.rounds import now_ms


class Ports(NamedTuple):
    """The ports that the model implements."""

    claims: ClaimStore
    rounds: RoundStore
    voids: ClaimVoider
    log_reader: LogReader
    readiness: Readiness


def ports_of_model() -> Ports:
    """A model without rounds, on this machine's clock."""
    model = MemoryStore(now_ms)
    return Ports(model, model, model, model, model)


def ports_of_server(store: RedisStore) -> Ports:
    """The same ports of the real store."""
    return Ports(store.claims, store.rounds, store.voids, store.log_reader, store.readiness)
