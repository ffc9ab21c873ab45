"""How long tests wait: far longer than anything takes, so that a slow machine fails no test."""

from claimd.store.durability import Durability
from claimd.store.installation import Installation
from claimd.store.redis.store import RedisStore

# Only a failing test ever waits that long.
PATIENCE_SECONDS = 20.0


def patient_store(
    url: str, durability: Durability = Durability.LOCAL, installation: Installation | None = None
) -> RedisStore:
    """A store whose calls may take `PATIENCE_SECONDS`, for tests that are not about a server that does not reply."""
    return RedisStore.connect(url, durability, installation, timeout_seconds=PATIENCE_SECONDS)
