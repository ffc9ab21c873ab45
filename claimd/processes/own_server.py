"""What somebody's own Redis or Valkey promises, asked before claimd starts on it and said in plain words.

An evicting server is refused: it would forget claims in the middle of a drop. All else is its owner's decision.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from redis.exceptions import RedisError, ResponseError

from claimd.processes.embedded import connect
from claimd.processes.errors import ServerAwayError, StartError

_ASKED = ("appendonly", "appendfsync", "maxmemory", "maxmemory-policy")
_OLDEST = {"valkey": (7, 2), "redis": (7, 0)}


async def check_own_server(url: str) -> tuple[str, str]:
    """Its name with version, and a sentence on durability.

    Raises StartError when claimd must not run on it, ServerAwayError when it does not answer.
    """
    try:
        async with connect(url) as server:
            info = await server.info("server")
            try:
                configuration: dict[Any, Any] | None = await server.config_get(*_ASKED)
            except ResponseError:
                configuration = None
    except (RedisError, OSError, ValueError) as error:
        raise ServerAwayError(f"the server at {without_password(url)} does not answer: {error}") from None
    name = _name(info)
    if configuration is None:
        return name, "it does not permit CONFIG, so what it keeps through a crash could not be checked"
    policy = configuration.get("maxmemory-policy", "noeviction")
    if int(configuration.get("maxmemory", 0)) > 0 and policy != "noeviction":
        raise StartError(
            f"the server at {without_password(url)} evicts keys (maxmemory-policy {policy}): it would forget claims; "
            "CONFIG SET maxmemory-policy noeviction"
        )
    return name, _durability(configuration)


def without_password(url: str) -> str:
    """The address as it may be shown. The library takes a password before the host, and as a parameter."""
    parts = urlsplit(url)
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        # What stands there for a port may be half a password.
        return f"{parts.scheme}://…"
    return f"{parts.scheme}://{'***@' if '@' in parts.netloc else ''}{parts.hostname or ''}{port}{parts.path}"


def _name(info: Mapping[str, Any]) -> str:
    # Valkey reports a redis_version of 7.2.4 for ever.
    kind = "valkey" if "valkey_version" in info else "redis"
    version = str(info.get(f"{kind}_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < _OLDEST[kind]:
        raise StartError(f"{kind.capitalize()} {version} is too old: claimd needs Redis 7.0 or Valkey 7.2")
    return f"{kind.capitalize()} {version}"


def _durability(configuration: Mapping[str, Any]) -> str:
    if configuration.get("appendonly") != "yes":
        return "it has no append-only file: grants since its last snapshot are lost when it dies (appendonly no)"
    match configuration.get("appendfsync"):
        case "always":
            return "every grant is on disk before it is told (appendfsync always)"
        case "everysec":
            return "grants of the last second or two are lost when its machine dies (appendfsync everysec)"
        case policy:
            return f"grants of the last half minute may be lost when its machine dies (appendfsync {policy})"
