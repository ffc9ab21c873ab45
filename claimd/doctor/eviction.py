"""Whether the server could forget claims to make room, and how much room there is.

A claim that was evicted is a second grant: with a limit, only noeviction will do.
"""

from collections.abc import Iterator

from claimd.doctor.facts import Facts
from claimd.doctor.findings import Finding, ok, refusal, warning

CHECK = "memory"

# From there on it is time to act: 1,500,000 claims take 150 MB.
_NEARLY_FULL = 0.9


def check_memory(facts: Facts) -> Iterator[Finding]:
    """Nothing where INFO is not permitted: the version check has said so."""
    if facts.info is None:
        return
    limit = int(facts.info.get("maxmemory", 0))
    policy = str(facts.info.get("maxmemory_policy", "noeviction"))
    if limit == 0:
        yield ok(CHECK, "nothing is evicted: there is no maxmemory")
    elif policy != "noeviction":
        yield refusal(
            CHECK,
            f"it evicts keys (maxmemory-policy {policy}), and would forget claims",
            "CONFIG SET maxmemory-policy noeviction",
        )
    else:
        yield from _fill_level(int(facts.info.get("used_memory", 0)) / limit)


def _fill_level(used: float) -> Iterator[Finding]:
    if used < _NEARLY_FULL:
        yield ok(CHECK, f"nothing is evicted (noeviction); {used:.0%} of maxmemory is used")
    else:
        yield warning(
            CHECK,
            f"{min(used, 1):.0%} of maxmemory is used: once it is full, every claim is answered 503",
            "raise maxmemory: 1,500,000 claims take 150 MB",
        )
