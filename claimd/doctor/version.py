"""Which server it is, and whether it is new enough. Every Valkey reports a redis_version of 7.2.4."""

from collections.abc import Iterator

from claimd.doctor.facts import Facts
from claimd.doctor.findings import Finding, blocker, ok, warning

CHECK = "server"

_OLDEST = {"valkey": (7, 2), "redis": (7, 0)}


def check_version(facts: Facts, address: str) -> Iterator[Finding]:
    """Yield one finding: a blocker for a server older than Redis 7.0 or Valkey 7.2."""
    if facts.info is None:
        yield warning(
            CHECK,
            f"at {address}; its version, its memory and its role could not be checked: INFO is not permitted",
            "permit it to claimd's user: +info",
        )
        return
    kind = "valkey" if "valkey_version" in facts.info else "redis"
    version = str(facts.info.get(f"{kind}_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < _OLDEST[kind]:
        yield blocker(CHECK, f"{kind.capitalize()} {version} is too old", "claimd needs Redis 7.0 or Valkey 7.2")
    else:
        yield ok(CHECK, f"{kind.capitalize()} {version} at {address}")
